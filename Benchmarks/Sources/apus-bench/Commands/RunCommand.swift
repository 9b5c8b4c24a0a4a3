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

    @Option(help: "Bytes of a value.")
    var valueBytes = 100

    @Option(help: "Threads of workloads that do not say their own number.")
    var threads = 1

    @Option(help: "How often everything is run; results are medians.")
    var repetitions = 3

    @Option(help: "MiB for an engine's write buffers and caches.")
    var memoryBudget = 256

    @Option(help: "Seed of all randomness.")
    var seed: UInt64 = 42

    @Option(help: "Folder in which a temporary folder is made for the databases.")
    var directory = "."

    @Option(help: "File to write the measurements to, one JSON object per line.")
    var json: String?

    func validate() throws {
        _ = try chosenEngines()
        _ = try chosenWorkloads()
        func check(_ value: Int, _ range: ClosedRange<Int>, _ option: String) throws {
            guard range.contains(value) else {
                throw ValidationError(
                    "\(option) must be from \(range.lowerBound) to \(range.upperBound), not \(value)."
                )
            }
        }
        try check(entries, 1...1_000_000_000, "--entries")
        try check(valueBytes, 1...16 << 20, "--value-bytes")
        try check(threads, Workload.threadRange, "--threads")
        try check(repetitions, 1...1_000, "--repetitions")
        try check(memoryBudget, 1...1 << 20, "--memory-budget")
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
                        + ", each with @N for N threads from 1 to \(Workload.threadRange.upperBound)."
                )
            }
            return workload
        }
        guard !chosen.isEmpty else { throw ValidationError("--workloads names no workload.") }
        return chosen
    }

    func run() throws {
        let present = try chosenEngines().filter { engine in
            guard let reason = engine.missing else { return true }
            print("Skipping \(engine.rawValue): \(reason).")
            return false
        }
        guard !present.isEmpty else { throw BenchmarkError("None of the chosen engines is in this build.") }
        let log = try json.map { try ResultLog(path: $0) }
        let workspace = try Workspace(directory: directory)
        defer { workspace.remove() }

        #if DEBUG
        print("This is a debug build: its figures mean nothing.")
        #endif
        print(
            "\(entries) entries, keys of \(KeyBuffer.byteCount) B, values of \(valueBytes) B, "
                + "\(memoryBudget) MiB of memory, \(repetitions) repetitions, seed \(seed)"
        )
        for engine in present { tell("\(engine.rawValue): \(engine.describe(settings(for: engine)))") }

        var measurements: [Measurement] = []
        var failures = 0
        for repetition in 1...repetitions {
            for workload in try chosenWorkloads() {
                for engine in present {
                    do {
                        let job = job(engine, workload, repetition)
                        let measurement = try workspace.measure(job)
                        measurements.append(measurement)
                        try log?.append(measurement)
                        let speed = measurement.opsPerSecond.formatted(fractionDigits: 0)
                        tell("\(repetition)/\(repetitions) \(workload) \(engine.rawValue): \(speed) ops/s")
                    } catch {
                        failures += 1
                        tell("\(repetition)/\(repetitions) \(workload) \(engine.rawValue): FAILED: \(error)")
                    }
                }
            }
        }
        print("")
        for line in SummaryTable(measurements: measurements).lines() { print(line) }
        if failures > 0 { throw BenchmarkError("\(failures) runs failed.") }
    }

    /// Printed at once, also into a pipe, and before a child prints anything.
    private func tell(_ line: String) {
        print(line)
        fflush(nil)
    }

    private func settings(for engine: Engine) -> EngineSettings {
        job(engine, Workload(kind: .fillrandom), 1).settings
    }

    private func job(_ engine: Engine, _ workload: Workload, _ repetition: Int) -> Job {
        Job(
            purpose: .measure,
            engine: engine,
            workload: workload,
            threads: workload.threads ?? threads,
            entries: entries,
            valueByteCount: valueBytes,
            memoryBudget: memoryBudget << 20,
            seed: seed,
            repetition: repetition,
            databasePath: "",
            resultPath: ""
        )
    }
}
