// Runs jobs in processes of their own: this program once more, with a hidden subcommand.

import FoundationEssentials
import Glibc

enum ChildProcess {
    static func perform(_ job: Job) throws {
        let encoded = String(decoding: try JSONEncoder().encode(job), as: UTF8.self)
        let status = try run(executablePath(), [JobCommand.name, encoded])
        let expected = job.purpose == .crash ? 128 + Int(SIGKILL) : 0
        if status != expected {
            let purpose =
                switch job.purpose {
                case .prepare: "filling the data set"
                case .crash: "filling a database to be killed"
                case .measure: "\(job.workload)"
                }
            let outcome = status == 128 + Int(SIGALRM) ? "took more than \(job.timeLimit) s" : "failed"
            throw BenchmarkError("\(job.engine.rawValue): \(purpose) \(outcome)")
        }
    }

    static func executablePath() throws -> String {
        guard let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
            throw BenchmarkError("cannot find this program's own file in /proc")
        }
        return path
    }

    /// Returns the exit status, or 128 and the signal's number as a shell would.
    static func run(_ executable: String, _ arguments: [String]) throws -> Int {
        let words: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var process = pid_t()
        guard posix_spawn(&process, executable, nil, nil, words, environ) == 0 else {
            throw BenchmarkError("cannot start \(executable)")
        }
        var status: CInt = 0
        while waitpid(process, &status, 0) < 0 {
            guard errno == EINTR else { throw BenchmarkError("lost the child process \(process)") }
        }
        let signal = Int(status & 0x7f)
        return signal == 0 ? Int(status >> 8) & 0xff : 128 + signal
    }
}
