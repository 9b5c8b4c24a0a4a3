// apus-bench run: chooses what to run, and runs it in an order that treats all engines alike.

import ArgumentParser
import FoundationEssentials
import Glibc

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "run", abstract: "Runs workloads on engines.")

    @Option(help: "Engines, separated by commas.")
    var engines = Engine.comparable.map(\.rawValue).joined(separator: ",")

    @Option(help: "Workloads, separated by commas; NAME@N for N threads. See `apus-bench list`.")
    var workloads = Workload.standard.map(\.description).joined(separator: ",")

    @Option(help: "Entries in the database.")
    var entries = 1_000_000

    @Option(help: "Bytes of a value; several sizes separated by commas, SIZE@N for another number of entries.")
    var valueBytes = "100"

    @Option(help: "Threads of workloads that do not say their own number.")
    var threads = 1

    @Option(help: "How often everything is run; results are medians.")
    var repetitions = 3

    @Option(help: "MiB for an engine's write buffers and caches.")
    var memoryBudget = 256

    @Flag(help: "Drop the database from the page cache before each run, and warm nothing up.")
    var cold = false

    @Option(help: "Seconds after which a run, or the filling of a data set, counts as failed.")
    var timeLimit = 1_800

    @Option(help: "Seed of all randomness.")
    var seed: UInt64 = 42

    @Option(help: "Folder in which a temporary folder is made for the databases.")
    var directory = "."

    @Option(help: "File to write the measurements to, one JSON object per line.")
    var json: String?

    @Flag(help: "Keep what the JSON file already holds.")
    var append = false

    func validate() throws {
        _ = try chosenEngines()
        _ = try chosenWorkloads()
        _ = try chosenSizes()
        func check(_ value: Int, _ range: ClosedRange<Int>, _ option: String) throws {
            guard range.contains(value) else {
                throw ValidationError(
                    "\(option) must be from \(range.lowerBound) to \(range.upperBound), not \(value)."
                )
            }
        }
        try check(entries, DataSize.entryRange, "--entries")
        try check(threads, Workload.threadRange, "--threads")
        try check(repetitions, 1...1_000, "--repetitions")
        try check(timeLimit, 1...1_000_000, "--time-limit")
        try check(memoryBudget, 1...1 << 20, "--memory-budget")
        if append && json == nil { throw ValidationError("--append needs --json, the file to append to.") }
    }

    private func chosenEngines() throws -> [Engine] {
        let chosen = try engines.split(separator: ",").map { name in
            guard let engine = Engine(rawValue: String(name)) else {
                let known = Engine.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("There is no engine named '\(name)'; known are \(known).")
            }
            return engine
        }
        guard !chosen.isEmpty else { throw ValidationError("--engines names no engine.") }
        return chosen
    }

    private func chosenWorkloads() throws -> [Workload] {
        let chosen = try workloads.split(separator: ",").map { name in
            guard let workload = Workload(name) else {
                throw ValidationError(
                    "There is no workload '\(name)'; known are "
                        + WorkloadKind.allCases.map(\.rawValue).joined(separator: ", ")
                        + ", with @N for N threads from 1 to \(Workload.threadRange.upperBound) except "
                        + WorkloadKind.allCases.filter(\.isSingleThreaded).map(\.rawValue).joined(separator: ", ")
                        + "."
                )
            }
            return workload
        }
        guard !chosen.isEmpty else { throw ValidationError("--workloads names no workload.") }
        return chosen
    }

    private func chosenSizes() throws -> [DataSize] {
        let chosen = try valueBytes.split(separator: ",").map { text in
            guard let size = DataSize(text) else {
                throw ValidationError(
                    "--value-bytes takes sizes from 1 to \(DataSize.valueRange.upperBound), each with @N for N "
                        + "entries up to \(DataSize.entryRange.upperBound), not '\(text)'."
                )
            }
            return size
        }
        guard !chosen.isEmpty else { throw ValidationError("--value-bytes names no size.") }
        return chosen
    }

    func run() throws {
        let present = try chosenEngines().filter { engine in
            guard let reason = engine.missing else { return true }
            print("Skipping \(engine.rawValue): \(reason).")
            return false
        }
        guard !present.isEmpty else { throw BenchmarkError("None of the chosen engines is in this build.") }
        let log = try json.map { try ResultLog(path: $0, appending: append) }
        let workspace = try Workspace(directory: directory)
        defer { workspace.remove() }
        let session = RunSession(
            engines: present,
            workloads: try chosenWorkloads(),
            repetitions: repetitions,
            template: Job(
                purpose: .measure,
                engine: .loop,
                workload: Workload(kind: .fillrandom),
                threads: threads,
                entries: entries,
                valueByteCount: 0,
                memoryBudget: memoryBudget << 20,
                seed: seed,
                repetition: 1,
                isCold: cold,
                timeLimit: timeLimit,
                machine: Machine(directory: directory),
                databasePath: "",
                resultPath: ""
            ),
            workspace: workspace,
            log: log
        )
        for size in try chosenSizes() { try session.run(size) }
        print("")
        for line in SummaryTable(measurements: session.measurements).lines() { print(line) }
        if session.failures > 0 { throw BenchmarkError("\(session.failures) runs failed.") }
    }
}
