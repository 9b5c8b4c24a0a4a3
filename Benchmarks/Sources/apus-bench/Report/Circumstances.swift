// What a report says beside its figures: on which machine, which versions with which settings, and which libraries
// were built in a way that makes them slow.

struct Circumstances {
    let measurements: [Measurement]

    var machines: [String] {
        measurements.compactMap(\.machine).distinct().map { machine in
            let memory = (Double(machine.memoryBytes) / Double(1 << 30)).formatted(fractionDigits: 1)
            return "\(machine.cpu), \(machine.cores) cores, \(memory) GiB of memory, \(machine.fileSystem), "
                + "\(machine.kernel), Swift \(machine.swiftVersion), \(machine.buildConfiguration) build"
        }
    }

    struct EngineFacts: Hashable {
        var engine: String
        var version: String
        var build: String?
        var compression: String
    }

    var engines: [EngineFacts] {
        measurements.map {
            EngineFacts(
                engine: $0.engine, version: $0.engineVersion, build: $0.engineBuild, compression: $0.compression)
        }.distinct()
    }

    /// Of one engine under one set of conditions: durable workloads have settings of their own.
    static func settings(of engine: String, in comparison: ConditionsComparison) -> [String] {
        comparison.workloads.flatMap { workload in
            (workload.summary(of: engine)?.runs ?? []).map { run in
                run.settings + (run.method.map { "; \(workload.workload): \($0)" } ?? "")
            }
        }.distinct()
    }

    var repetitions: String {
        let counts = ConditionsComparison.all(in: measurements)
            .flatMap { $0.workloads.flatMap { $0.engines.map(\.runs.count) } }
        guard let fewest = counts.min(), let most = counts.max() else { return "no runs" }
        return fewest == most ? "\(fewest)" : "\(fewest) to \(most)"
    }

    /// Whether figures were measured against libraries as fast as they can be built: one sentence per engine.
    var buildNotices: [String] {
        engines.filter { LibraryBuild.canBeSlow($0.engine) }.map { facts in
            let name = "\(facts.engine) \(facts.version)"
            guard let build = facts.build, build != LibraryBuild.unknown else {
                return "How the library of \(name) was built is unknown."
            }
            return LibraryBuild.isSlow(build)
                ? "The library of \(name) is not an optimised build (\(build)): being faster than it proves little."
                : "The library of \(name) is an optimised build (\(build))."
        }
    }

    /// What runs said that should not be read past.
    var warnings: [String] {
        var warnings: [String] = []
        if measurements.contains(where: { $0.machine?.buildConfiguration == "debug" }) {
            warnings.append("Some runs are of a debug build: their figures mean nothing.")
        }
        let warm = measurements.filter { ($0.coldResidentShare ?? 0) > RunSession.tolerableResidentShare }
        if !warm.isEmpty {
            let names = warm.map { "\($0.workload) \($0.engine)" }.distinct().joined(separator: ", ")
            warnings.append("The system kept much of the database in memory in runs that should be cold: \(names).")
        }
        if machines.count > 1 { warnings.append("The runs are not of one machine or build: do not compare them.") }
        return warnings
    }
}
