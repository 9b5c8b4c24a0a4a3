// What `verify` finds between files that are each as they were written, and how it goes on behind what it cannot read.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite struct VerifyTests {
    private func key(_ name: String) -> [UInt8] { Array(name.utf8) }

    private func entry(_ name: String, _ sequence: UInt64) -> TableEntry {
        TableEntry(key(name), sequence, key("value \(sequence)"))
    }

    // MARK: - Order

    @Test func entriesInTheOrderOfLevelsAreSound() throws {
        let database = try HandmadeDatabase()
        try database.table(level: 0, [entry("a", 12), entry("k", 20), entry("k", 15)])
        try database.table(level: 0, [entry("b", 18), entry("k", 14), entry("k", 13)])
        try database.table(level: 1, [entry("a", 9), entry("k", 11)])
        try database.table(level: 1, [entry("m", 9), entry("n", 11)])
        try database.table(level: 3, [entry("b", 7), entry("k", 10), entry("k", 0), entry("z", 0)])
        try database.publish()
        let report = try database.verify()
        #expect(report.problems == [])
        #expect(report.tables == 5 && report.entries == 14)
    }

    @Test(arguments: [(1, 2, UInt64(5), UInt64(9)), (0, 4, 5, 9), (1, 6, 7, 7), (0, 1, 3, 4)])
    func anOlderEntryAboveANewerOneIsFound(_ upper: Int, _ lower: Int, _ above: UInt64, _ below: UInt64) throws {
        let database = try HandmadeDatabase()
        let path = try database.table(level: upper, [entry("a", 30), entry("k", above), entry("z", 31)])
        try database.table(level: lower, [entry("b", 10), entry("k", below), entry("l", 11)])
        try database.publish()
        let problem = try #require(try database.verify().problems.first)
        #expect(try database.verify().problems.count == 1)
        #expect(problem.kind == .corruption)
        #expect(problem.message.contains("\"k\"") && problem.message.contains("sequence \(above)"))
        #expect(problem.message.contains("level \(lower) below it holds it at \(below)"))
        #expect(problem.file == path || above == below)
    }

    @Test func levelZeroIsReadFromItsNewestTable() throws {
        let database = try HandmadeDatabase()
        try database.table(level: 0, [entry("a", 10), entry("k", 3)])
        try database.table(level: 0, [entry("b", 8), entry("k", 7)])
        try database.publish()
        let problems = try database.verify().problems
        #expect(problems.count == 1)
        #expect(problems.first?.message.contains("holds \"k\" at sequence 3, but table 2 of level 0 below it") == true)
    }

    @Test func findingsBeyondALimitAreCounted() throws {
        let database = try HandmadeDatabase()
        let names = (1000..<1250).map { "key \($0)" }
        try database.table(level: 1, names.map { entry($0, 5) })
        try database.table(level: 2, names.map { entry($0, 9) })
        try database.publish()
        let problems = try database.verify().problems
        #expect(problems.count == EntryVerifier.problemLimit + 1)
        #expect(problems.last?.message.hasPrefix("150 more entries") == true)
    }

    // MARK: - References

    @Test(arguments: ["sound", "key", "long key", "length", "stored length", "offset", "end", "other record"])
    func everyReferenceMustLeadToItsValue(_ fault: String) throws {
        let database = try HandmadeDatabase()
        let references = try database.blobFile([
            (key("k1"), [UInt8](repeating: 1, count: 300)), (key("k2"), [UInt8](repeating: 2, count: 300)),
        ])
        var names = ["k1", "k2"]
        var reference = references[1]
        switch fault {
        case "key": names[1] = "k3"
        case "long key": names[1] = "k" + String(repeating: "x", count: 60_000)
        case "length": reference.valueByteCount += 1
        case "stored length": reference.storedByteCount -= 1
        case "offset": reference.offset -= 1
        case "end": reference.offset += 400
        case "other record": reference = references[0]
        default: break
        }
        try database.table(
            level: 1,
            [.separated(key(names[0]), 2, references[0]), .separated(key(names[1]), 1, reference)])
        try database.publish()
        let problems = try database.verify().problems.filter { $0.message.contains("it stands at key") }
        if fault == "sound" {
            #expect(try database.verify().problems == [])
        } else {
            #expect(problems.count == 1)
            #expect(problems.first?.offset == reference.offset)
            #expect(problems.first?.message.contains("key \"\(names[1].prefix(20))") == true)
        }
    }

    // MARK: - What cannot be read

    @Test(arguments: ["table", "blob"])
    func whatCannotBeReadIsAFindingAndTheRestIsChecked(_ suffix: String) throws {
        let database = try HandmadeDatabase()
        let references = try database.blobFile([(key("k1"), [UInt8](repeating: 1, count: 300))])
        try database.table(level: 1, [.separated(key("k1"), 2, references[0])])
        let damaged = try database.table(level: 2, [entry("k2", 1)])
        try database.publish()
        let unreadable = suffix == "table" ? FileName.table(2).path(in: "/db") : FileName.blob(1).path(in: "/db")
        database.machine.disk.flipBit(of: damaged, at: 20)
        database.machine.disk.inject(
            Fault(.fail(ErrorCode.inputOutput), on: [.read], times: nil) { $0.path == unreadable })
        let report = try database.verify()
        #expect(report.tables == 2 && report.blobFiles == 1)
        #expect(report.problems.filter { $0.file == unreadable }.map(\.kind) == [.io])
        #expect(report.problems.contains { $0.kind == .corruption && $0.file == damaged })
        #expect(report.problems.allSatisfy { $0.file == unreadable || $0.file == damaged })
    }
}
