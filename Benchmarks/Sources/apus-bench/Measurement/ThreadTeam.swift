// Runs a body on several threads at once. Not Dispatch, whose pool is no wider than the machine: workloads with more
// threads than cores wait for the disk together.

import Glibc

enum ThreadTeam {
    /// Calls `body` with 0..<count, each on a thread of its own (the caller's, for one), and returns when all are done.
    static func run(count: Int, _ body: @escaping @Sendable (Int) -> Void) throws {
        if count == 1 { return body(0) }
        var threads: [pthread_t] = []
        for index in 0..<count {
            let job = Unmanaged.passRetained(Job(index: index, body: body))
            var thread = pthread_t()
            guard pthread_create(&thread, nil, runJob, job.toOpaque()) == 0 else {
                job.release()
                throw BenchmarkError("could not start thread \(index + 1) of \(count)")
            }
            threads.append(thread)
        }
        for thread in threads { pthread_join(thread, nil) }
    }

    private final class Job: Sendable {
        let index: Int
        let body: @Sendable (Int) -> Void

        init(index: Int, body: @escaping @Sendable (Int) -> Void) {
            self.index = index
            self.body = body
        }
    }

    private static let runJob: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
        guard let argument else { return nil }
        let job = Unmanaged<Job>.fromOpaque(argument).takeRetainedValue()
        job.body(job.index)
        return nil
    }
}
