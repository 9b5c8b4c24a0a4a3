// The runs of one `apus-bench run`: engines take turns within every workload and repetition, so that what the machine
// does meanwhile meets all of them.

import Glibc

final class RunSession {
    /// With more of the database in memory a run is not cold.
    static let tolerableResidentShare = 0.05

    private let engines: [Engine]
    private let workloads: [Workload]
    private let repetitions: Int
    private let template: Job
    private let workspace: Workspace
    private let log: ResultLog?
    private(set) var measurements: [Measurement] = []
    private(set) var failures = 0

    init(
        engines: [Engine],
        workloads: [Workload],
        repetitions: Int,
        template: Job,
        workspace: Workspace,
        log: ResultLog?
    ) {
        self.engines = engines
        self.workloads = workloads
        self.repetitions = repetitions
        self.template = template
        self.workspace = workspace
        self.log = log
    }

    func run(_ size: DataSize) throws {
        var template = template
        template.entries = size.entries ?? template.entries
        template.valueByteCount = size.valueByteCount
        introduce(template)
        for repetition in 1...repetitions {
            for workload in workloads {
                for engine in engines {
                    var job = template
                    job.engine = engine
                    job.workload = workload
                    job.threads = workload.threadCount(standard: template.threads)
                    job.repetition = repetition
                    try run(job)
                }
            }
        }
        workspace.forgetDataSets()
    }

    private func introduce(_ template: Job) {
        #if DEBUG
        tell("This is a debug build: its figures mean nothing.")
        #endif
        tell(
            "\(template.entries) entries, keys of \(KeyBuffer.byteCount) B, values of \(template.valueByteCount) B, "
                + "\(template.memoryBudget >> 20) MiB of memory, \(repetitions) repetitions, seed \(template.seed)"
                + (template.isCold ? ", cold" : "")
        )
        for engine in engines {
            tell("\(engine.rawValue): \(engine.describe(template.settings))")
        }
    }

    private func run(_ job: Job) throws {
        let name = "\(job.repetition)/\(repetitions) \(job.workload) \(job.engine.rawValue)"
        do {
            let measurement = try workspace.measure(job)
            measurements.append(measurement)
            try log?.append(measurement)
            tell("\(name): \(measurement.opsPerSecond.formatted(fractionDigits: 0)) ops/s")
            if let share = measurement.coldResidentShare, share > Self.tolerableResidentShare {
                let percent = (share * 100).formatted(fractionDigits: 0)
                tell("\(name): the system kept \(percent) % of the database in memory: this run was not cold")
            }
        } catch {
            failures += 1
            tell("\(name): FAILED: \(error)")
        }
    }

    /// Printed at once, also into a pipe, and before a child prints anything.
    private func tell(_ line: String) {
        print(line)
        fflush(nil)
    }
}
