// Every kind of damage to every kind of file: what is not hit is recovered, what is hit is in the report, nothing traps.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite struct SalvageDamageTests {
    /// Salvages with one file changed, and checks the result.
    private func tryOut(
        _ fixture: SalvageFixture, _ path: String, _ bytes: [UInt8]?, _ context: String,
        _ body: (SalvageReport) -> Void = { _ in }
    ) throws {
        let good = fixture.files
        fixture.files[path] = bytes
        defer { fixture.files = good }
        let context = "\(path): \(context)"
        do {
            let (report, contents) = try fixture.salvage()
            fixture.check(contents, report, context)
            body(report)
        } catch let error as ApusError {
            Issue.record("\(context): \(error)")
        }
    }

    private func hasLoss(_ report: SalvageReport, _ context: String) {
        let isComplete = report.isComplete
        #expect(!isComplete, "\(context)")
    }

    @Test(arguments: [true, false])
    func flippedBits(_ closes: Bool) throws {
        let fixture = try SalvageFixture(seed: 21, closes: closes)
        var random = TestRandom(seed: 22)
        for (path, good) in fixture.files.sorted(by: { $0.key < $1.key }) where !path.hasSuffix("LOCK") {
            // After a kill the tables of a keyspace that is never logged are garbage.
            let isOfCache = try fixture.isOfCache(path)
            for _ in 0..<8 {
                let used = (good.lastIndex { $0 != 0 } ?? 0) + 1
                let position = random.below(used)
                var bad = good
                bad[position] ^= 1 << UInt8(random.below(8))
                try tryOut(fixture, path, bad, "bit at \(position)") { report in
                    if path.hasSuffix(".table"), closes || !isOfCache {
                        let isCovered = report.losses.contains { $0.covers(path, position) }
                        #expect(isCovered, "\(path) at \(position)")
                    }
                    if path.hasSuffix("CURRENT") { hasLoss(report, path) }
                }
            }
        }
    }

    @Test(arguments: [true, false])
    func truncatedZeroedAndDeletedFiles(_ closes: Bool) throws {
        let fixture = try SalvageFixture(seed: 23, closes: closes)
        var random = TestRandom(seed: 24)
        for (path, good) in fixture.files.sorted(by: { $0.key < $1.key }) where !path.hasSuffix("LOCK") {
            try tryOut(fixture, path, nil, "deleted") { hasLoss($0, "\(path) deleted") }
            try tryOut(fixture, path, [], "empty") { hasLoss($0, "\(path) emptied") }
            // A blob file that was not ended has space reserved, which nobody misses.
            let used = path.hasSuffix(".blob") ? (good.lastIndex { $0 != 0 } ?? 0) + 1 : good.count
            let count = random.below(used)
            try tryOut(fixture, path, Array(good[..<count]), "cut to \(count)") { hasLoss($0, "\(path) cut") }
            var zeroed = good
            let start = random.below(good.count)
            for position in start..<min(good.count, start + 512) { zeroed[position] = 0 }
            try tryOut(fixture, path, zeroed, "zeros from \(start)")
        }
    }

    @Test func randomBytesInThePlaceOfFiles() throws {
        let fixture = try SalvageFixture(seed: 25, closes: true)
        var random = TestRandom(seed: 26)
        for (path, good) in fixture.files.sorted(by: { $0.key < $1.key }) where !path.hasSuffix("LOCK") {
            try tryOut(fixture, path, random.bytes(good.count), "garbage") { hasLoss($0, path) }
        }
    }

    @Test func unreadableSectorsCostOnlyTheFileThatHasThem() throws {
        let fixture = try SalvageFixture(seed: 27, closes: true)
        for path in fixture.files.keys.sorted() where path.hasSuffix(".table") || path.hasSuffix(".blob") {
            fixture.machine.disk.inject(
                Fault(.fail(ErrorCode.inputOutput), on: [.read], times: nil) { $0.path == path })
            let (report, contents) = try fixture.salvage()
            fixture.machine.disk.removeFaults()
            fixture.check(contents, report, path)
        }
    }
}
