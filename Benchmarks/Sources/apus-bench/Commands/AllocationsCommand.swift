// apus-bench allocations: heap allocations per operation. The counting is done by the program apus-probe beside this
// one, which replaces `malloc` for itself; doing it here would slow down the engines that are measured.

import ArgumentParser
import FoundationEssentials

struct AllocationsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "allocations",
        abstract: "Counts the heap allocations of Apus operations."
    )

    static func probePath() throws -> String {
        let program = URL(filePath: try ChildProcess.executablePath())
            .deletingLastPathComponent().appending(path: "apus-probe").path
        guard FileManager.default.isExecutableFile(atPath: program) else {
            throw BenchmarkError("\(program) is not there: build the whole package, not only apus-bench")
        }
        return program
    }

    func run() throws {
        let status = try ChildProcess.run(Self.probePath(), ["allocations"])
        if status != 0 { throw ExitCode(Int32(status)) }
    }
}
