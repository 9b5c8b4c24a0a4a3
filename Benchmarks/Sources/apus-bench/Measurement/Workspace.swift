// The temporary folder of one invocation: full data sets, filled once per engine, and the databases of single runs.

import FoundationEssentials
import Glibc

final class Workspace {
    private let path: String
    private var preparedEngines: Set<Engine> = []

    init(directory: String) throws {
        path = "\(directory)/apus-bench-\(getpid())"
        try Folder.create(path)
    }

    func remove() {
        Folder.remove(path)
    }

    /// Before data of another size.
    func forgetDataSets() {
        for engine in preparedEngines { Folder.remove(dataPath(of: engine)) }
        preparedEngines = []
    }

    /// Runs one measurement. Workloads that only read share one data set per engine; those that change it get a copy.
    func measure(_ job: Job) throws -> Measurement {
        var job = job
        let runPath = "\(path)/run"
        job.resultPath = "\(path)/result.json"
        job.databasePath = runPath
        Folder.remove(runPath)
        Folder.remove(job.resultPath)
        defer { Folder.remove(runPath) }
        switch job.workload.kind.start {
        case .empty:
            try Folder.create(runPath)
        case .crashed:
            try Folder.create(runPath)
            try perform(.crash, job)
        case .full:
            let dataPath = try dataSet(for: job)
            if job.workload.kind.needsOwnDatabase {
                try Folder.copy(dataPath, to: runPath)
            } else {
                job.databasePath = dataPath
            }
        }
        Folder.synchronize()
        if job.isCold { job.residentShare = PageCache.drop(job.databasePath) }
        try perform(.measure, job)
        return try JSONDecoder().decode(Measurement.self, from: Data(contentsOf: URL(filePath: job.resultPath)))
    }

    private func dataPath(of engine: Engine) -> String { "\(path)/\(engine.rawValue)-data" }

    private func dataSet(for job: Job) throws -> String {
        let dataPath = dataPath(of: job.engine)
        if preparedEngines.contains(job.engine) { return dataPath }
        Folder.remove(dataPath)
        try Folder.create(dataPath)
        var preparation = job
        preparation.threads = 1
        preparation.databasePath = dataPath
        // The data set belongs to no workload, but a job must name one.
        preparation.workload = Workload(kind: .fillbatch)
        try perform(.prepare, preparation)
        preparedEngines.insert(job.engine)
        return dataPath
    }

    private func perform(_ purpose: Job.Purpose, _ job: Job) throws {
        var job = job
        job.purpose = purpose
        try ChildProcess.perform(job)
    }
}
