// Damage at rest, byte by byte and by the thousand. A test run takes a sample; APUS_SWEEP=full takes all of it and
// prints figures. What remains recognisable after damage is tested in CorruptionSalvageTests.swift.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite("Corruption")
struct CorruptionTests {
    /// Outcomes of many checks, and the first failures.
    private struct Tally {
        var (right, shortened, refused, failed) = (0, 0, 0, 0)

        mutating func note(_ what: @autoclosure () -> String, _ check: () throws -> CorruptionSample.Outcome) {
            do {
                switch try check() {
                case .right: right += 1
                case .shortened: shortened += 1
                case .refused: refused += 1
                }
            } catch {
                failed += 1
                let report: Comment = "\(what()): \(error)"
                if failed < 6 { Issue.record(report) }
            }
        }

        func printed(_ what: String) {
            guard isFullSweep else { return }
            print(
                "corruption: \(what): \(right + shortened + refused + failed) checks: \(right) right, \(shortened) as after"
                    + " a crash, \(refused) refused, \(failed) failed")
        }
    }

    @Test("the sample has every kind of file, and its log is what the tests take it for")
    func sample() throws {
        for kind in CorruptionSample.Kind.all {
            let sample = try CorruptionSample(kind)
            let suffixes = Set(sample.files.keys.map { $0.split(separator: ".").last! })
            let expected: Set<Substring> = ["CURRENT", "manifest", "table", "blob"]
            #expect(suffixes == (kind.end == .closed ? expected : expected.union(["log"])), "\(kind)")
            let outcome = try sample.check(CorruptionMutation(what: "", change: [:]), isReadOnly: true)
            #expect(outcome == .right)
            #expect(sample.older.values.contains { !$0.isEmpty })
            guard kind.end == .killed else { continue }
            #expect(sample.logs.count == 2)
            let frames = sample.logs.map { CorruptionSample.frames(sample.files[$0]!).count }
            #expect(frames.reduce(0, +) == sample.commits.count && frames.allSatisfy { $0 > 2 }, "\(frames)")
            // A sample in which nothing could be shortened would not test what may be.
            let newest = sample.logs.last!
            let zeroed = CorruptionMutation.Change(uniqueKeysWithValues: [(newest, [UInt8](repeating: 0, count: 4_096))]
            )
            #expect(sample.legalStates(zeroed).count == 2)
        }
    }

    /// Patterns that a byte is changed by.
    private static let patterns: [UInt8] = [0x01, 0x80, 0xFF]

    @Test("any byte changed: the right data, or an error", arguments: CorruptionSample.Kind.all)
    func bytes(_ kind: CorruptionSample.Kind) throws {
        let sample = try CorruptionSample(kind)
        var tally = Tally()
        for (index, name) in sample.files.keys.sorted().enumerated() {
            let bytes = sample.files[name]!
            // The zeros behind the end of a log or manifest are many and alike.
            let used = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
            let positions = Array(0..<used) + Array(stride(from: used, to: bytes.count, by: isFullSweep ? 1 : 701))
            let step = isFullSweep || bytes.count < 120 ? 1 : 41
            for number in Swift.stride(from: index % step, to: positions.count, by: step) {
                let position = positions[number]
                for pattern in isFullSweep && position < used ? Self.patterns : [Self.patterns[number % 3]] {
                    var changed = bytes
                    changed[position] ^= pattern
                    let mutation = CorruptionMutation(
                        what: "\(name), byte \(position) xor \(pattern)", change: [name: changed])
                    tally.note("\(kind.testDescription): \(mutation.what)") {
                        try sample.check(mutation, isReadOnly: true)
                    }
                }
            }
        }
        #expect(tally.refused > tally.right / 2 && tally.refused > 0)
        tally.printed("bytes, \(kind.testDescription)")
    }

    @Test("a file cut at any length: the right data, or an error", arguments: CorruptionSample.Kind.all)
    func truncation(_ kind: CorruptionSample.Kind) throws {
        let sample = try CorruptionSample(kind)
        var tally = Tally()
        for name in sample.files.keys.sorted() {
            let bytes = sample.files[name]!
            for count in Swift.stride(from: 0, to: bytes.count, by: isFullSweep ? 1 : Swift.max(bytes.count / 14, 1)) {
                let mutation = CorruptionMutation(
                    what: "\(name) cut to \(count)", change: [name: Array(bytes[..<count])])
                tally.note("\(kind.testDescription): \(mutation.what)") { try sample.check(mutation, isReadOnly: true) }
            }
        }
        #expect(tally.refused > 0)
        tally.printed("truncation, \(kind.testDescription)")
    }

    /// Mutations altogether, over all kinds of samples.
    private static let mutationCount = isFullSweep ? 10_002 : 900

    @Test("sectors, ranges and files that are swapped, copied, lost or old", arguments: CorruptionSample.Kind.all)
    func mutations(_ kind: CorruptionSample.Kind) throws {
        let sample = try CorruptionSample(kind)
        var tally = Tally()
        for seed in 0..<UInt64(Self.mutationCount / CorruptionSample.Kind.all.count) {
            var random = TestRandom(seed: seed)
            let mutation = CorruptionMutation.random(sample, &random)
            // A writer changes what it finds; that costs more to look at.
            let isReadOnly = seed % 5 != 0
            tally.note("\(kind.testDescription), seed \(seed)\(isReadOnly ? "" : ", writing"): \(mutation.what)") {
                try sample.check(mutation, isReadOnly: isReadOnly)
            }
        }
        #expect(tally.refused > tally.right)
        if kind.end == .closed { #expect(tally.shortened == 0) }
        tally.printed("mutations, \(kind.testDescription)")
    }

    @Test("verify finds every change of a table or blob file", arguments: CorruptionSample.Kind.all)
    func verify(_ kind: CorruptionSample.Kind) throws {
        let sample = try CorruptionSample(kind)
        let database = try sample.open(isReadOnly: true)
        #expect(try database.verify().isSound)
        // Blob files of values that are only in the log so far are part of the log.
        let listed = database.engine.structure.withLock { structure in
            Set(structure.trees.values.flatMap { $0.version.blobFiles.map { FileName.blob($0.number).string } })
        }
        for name in sample.files.keys.sorted() where name.hasSuffix(".table") || listed.contains(name) {
            let bytes = sample.files[name]!
            for position in Swift.stride(from: 0, to: bytes.count, by: isFullSweep ? 1 : 97) {
                var changed = bytes
                changed[position] ^= 0x10
                try sample.with([name: changed]) {
                    let report = try database.verify()
                    let isNamed = report.problems.allSatisfy { $0.file == sample.path(name) && $0.kind == .corruption }
                    #expect(!report.isSound && isNamed, "\(name), byte \(position)")
                }
            }
        }
        try database.close()
    }
}
