// apus-bench list: what this build can measure.

import ArgumentParser

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Names the engines in this build, those that are missing, and the workloads."
    )

    func run() {
        print("Engines:")
        let engines = Engine.allCases.map { engine in
            switch (engine, engine.missing) {
            case (.loop, _): ["  loop", "stores nothing: measures the loop itself; only runs when named"]
            case (_, nil): ["  \(engine.rawValue)", "available"]
            case (_, let reason?): ["  \(engine.rawValue)", "missing: \(reason)"]
            }
        }
        for line in leftAligned(engines) { print(line) }
        print("\nWorkloads (append @N for N threads, as in readrandom@2):")
        for line in leftAligned(WorkloadKind.allCases.map { ["  \($0.rawValue)", $0.summary] }) { print(line) }
        print("\nWithout --workloads: \(Workload.standard.map(\.description).joined(separator: ", "))")
    }

    private func leftAligned(_ rows: [[String]]) -> [String] {
        let width = rows.map { $0[0].count }.max() ?? 0
        return rows.map { $0[0] + String(repeating: " ", count: width - $0[0].count + 2) + $0[1] }
    }
}
