// apus-bench thresholds: fails when an operation of Apus takes more instructions or allocations than is written down.

import ArgumentParser
import FoundationEssentials
import Glibc

struct ThresholdsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "thresholds",
        abstract: "Counts instructions and allocations per Apus operation; fails above the thresholds on file."
    )

    @Option(help: "The file of thresholds.")
    var file = "thresholds.json"

    @Flag(help: "Write what is measured into the file instead of comparing.")
    var update = false

    @Option(help: "With --update: per cent by which figures may exceed what is written.")
    var slack = 5.0

    func run() throws {
        #if DEBUG
        throw BenchmarkError("this is a debug build: its instructions are not those that people run")
        #else
        let thresholds = update ? nil : try Thresholds(path: file)
        let costs = try measure()
        let here = Self.circumstances
        guard let thresholds else {
            try Thresholds(costs: costs, slackPercent: slack, recordedWith: here).write(to: file)
            return print("Written to \(file).")
        }
        if thresholds.recordedWith != here {
            print("The thresholds were recorded with \(thresholds.recordedWith); this is \(here).")
        }
        for gain in thresholds.gains(of: costs) { print("Better: \(gain).") }
        let offences = thresholds.offences(of: costs)
        for offence in offences { print("Too high: \(offence).") }
        if !offences.isEmpty { throw ExitCode(1) }
        print("Every figure is within its threshold.")
        #endif
    }

    private func measure() throws -> OperationCosts {
        guard let valgrind = InstructionCounter.findValgrind() else {
            throw BenchmarkError(
                "valgrind is not installed, so instructions cannot be counted: apt-get install valgrind")
        }
        let folder = "\(FileManager.default.temporaryDirectory.path)/apus-thresholds-\(getpid())"
        try Folder.create(folder)
        defer { Folder.remove(folder) }
        let probe = try AllocationsCommand.probePath()
        let file = "\(folder)/allocations.json"
        guard try ChildProcess.run(probe, ["allocations", file]) == 0,
            let contents = FileManager.default.contents(atPath: file)
        else { throw BenchmarkError("allocations were not counted") }
        let allocations = try JSONDecoder().decode([String: Double].self, from: contents)
        let counter = InstructionCounter(valgrind: valgrind, probe: probe, folder: folder)
        var instructions: [String: Double] = [:]
        for operation in allocations.keys.sorted() {
            let each = try counter.instructions(of: operation)
            instructions[operation] = (each * 10).rounded() / 10
            print("\(operation): \(Thresholds.text(each)) instructions")
            fflush(nil)
        }
        return OperationCosts(instructions: instructions, allocations: allocations)
    }

    private static var circumstances: String {
        let machine = Machine(directory: ".")
        return "Swift \(machine.swiftVersion), \(machine.cpu)"
    }
}
