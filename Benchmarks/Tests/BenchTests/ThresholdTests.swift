// What counts as too dear, and how callgrind's files are read.

import FoundationEssentials
import Testing

@testable import apus_bench

struct ThresholdTests {
    private let thresholds = Thresholds(
        costs: OperationCosts(instructions: ["get": 1_000, "put": 2_000], allocations: ["get": 0, "put": 9]),
        slackPercent: 5,
        recordedWith: "Swift 6.3, a processor"
    )

    private func costs(get: Double = 1_000, put: Double = 2_000, allocations: Double = 0) -> OperationCosts {
        OperationCosts(instructions: ["get": get, "put": put], allocations: ["get": allocations, "put": 9])
    }

    @Test func figuresWithinTheSlackPass() {
        #expect(thresholds.offences(of: costs()).isEmpty)
        #expect(thresholds.offences(of: costs(get: 1_050, put: 1_500, allocations: 0.01)).isEmpty)
    }

    @Test func eachFigureAboveItsThresholdIsOneSentence() {
        #expect(
            thresholds.offences(of: costs(get: 1_051, put: 2_500, allocations: 1)) == [
                "get: 1,051.00 instructions, threshold 1,000.00", "put: 2,500.00 instructions, threshold 2,000.00",
                "get: 1.00 allocations, threshold 0.00",
            ]
        )
    }

    @Test func whatIsNotComparedIsAnOffence() {
        var measured = costs()
        measured.instructions["put"] = nil
        measured.allocations["seek"] = 18
        #expect(
            thresholds.offences(of: measured) == [
                "put: instructions were not counted",
                "seek: 18.00 allocations, but there is no threshold; --update records one",
            ]
        )
    }

    @Test func gainsAreOfferedAsNewThresholds() {
        #expect(thresholds.gains(of: costs(get: 960)).isEmpty)
        #expect(
            thresholds.gains(of: costs(get: 900)) == [
                "get: 900.00 instructions, threshold 1,000.00: --update lowers it"
            ])
    }

    @Test func fileReadsBackAsItWasWritten() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "thresholds-\(UUID().uuidString).json").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(throws: BenchmarkError.self) { try Thresholds(path: path) }
        try thresholds.write(to: path)
        #expect(try Thresholds(path: path) == thresholds)
        try Data("{}".utf8).write(to: URL(filePath: path))
        #expect(throws: BenchmarkError.self) { try Thresholds(path: path) }
    }

    /// The file in the package itself has a threshold for all that is counted.
    @Test func fileOfThePackageIsComplete() throws {
        let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let recorded = try Thresholds(path: package.appending(path: "thresholds.json").path)
        for operation in ["put", "get", "next", "commit"] {
            #expect((recorded.costs.instructions[operation] ?? 0) > 100)
            #expect(recorded.costs.allocations[operation] != nil)
        }
        #expect(recorded.offences(of: recorded.costs).isEmpty)
    }

    @Test func totalOfACallgrindFileIsRead() {
        #expect(InstructionCounter.total(in: "events: Ir\nfn=(1) main\n12 34\ntotals: 351469277\n") == 351_469_277)
        #expect(InstructionCounter.total(in: "events: Ir\n") == nil)
        #expect(InstructionCounter.counts(of: "get").many > InstructionCounter.counts(of: "get").few)
    }
}
