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

    /// Runs one measurement. Workloads that only read share one data set per engine; those that change it get a copy.
    func measure(_ job: Job) throws -> Measurement {
        var job = job
        let kind = job.workload.kind
        let runPath = "\(path)/run"
        job.resultPath = "\(path)/result.json"
        Folder.remove(runPath)
        Folder.remove(job.resultPath)
        defer { Folder.remove(runPath) }
        if kind.startsFull {
            job.databasePath = try dataSet(for: job)
            if kind.writes {
                try Folder.copy(job.databasePath, to: runPath)
                job.databasePath = runPath
            }
        } else {
            try Folder.create(runPath)
            job.databasePath = runPath
        }
        Folder.synchronize()
        try ChildProcess.perform(job)
        return try JSONDecoder().decode(Measurement.self, from: Data(contentsOf: URL(filePath: job.resultPath)))
    }

    private func dataSet(for job: Job) throws -> String {
        let dataPath = "\(path)/\(job.engine.rawValue)-data"
        if preparedEngines.contains(job.engine) { return dataPath }
        Folder.remove(dataPath)
        try Folder.create(dataPath)
        var preparation = job
        preparation.purpose = .prepare
        preparation.threads = 1
        preparation.databasePath = dataPath
        try ChildProcess.perform(preparation)
        preparedEngines.insert(job.engine)
        return dataPath
    }
}
