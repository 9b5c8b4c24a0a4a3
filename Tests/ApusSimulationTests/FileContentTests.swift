// Which bytes of one file a power loss can leave: checked against a slow model that keeps every version of every
// sector, and by looking for the outcomes that must be possible.

import ApusIO
import Testing

@testable import ApusSimulation

@Suite struct FileContentTests {
    /// Crashes a file that holds `durable` and then lived through `changes`, with many seeds.
    private func outcomes(
        _ durable: [UInt8] = [],
        seeds: Range<UInt64> = 0..<300,
        _ changes: (inout FileContent) -> Void
    ) -> Set<[UInt8]> {
        var seen = Set<[UInt8]>()
        for seed in seeds {
            var content = FileContent(bytes: durable)
            changes(&content)
            var generator = SeededGenerator(seed: seed)
            content.crash(.some, &generator)
            #expect(content.unsynced.isEmpty && content.dropped.isEmpty)
            seen.insert(content.bytes)
        }
        return seen
    }

    private func write(_ bytes: [UInt8], at offset: Int, to content: inout FileContent) {
        bytes.withUnsafeBytes { content.write($0, at: offset) }
    }

    @Test func anOverwriteTearsAtSectorsOnly() {
        let seen = outcomes(repeated(1, 1536)) { write(repeated(2, 1536), at: 0, to: &$0) }
        let sectors = Set(seen.map { [$0[0], $0[512], $0[1024]] })
        #expect(seen.count == sectors.count, "a sector was torn")
        #expect(sectors.count == 8, "every subset of sectors can survive")
    }

    @Test func aSectorHoldsAnyOfItsVersionsButNeverGoesBackBehindTheSync() {
        let seen = outcomes([0, 0, 0]) {
            write([1], at: 0, to: &$0)
            write([2], at: 1, to: &$0)
            $0.synchronize()
            write([3], at: 2, to: &$0)
            write([4], at: 0, to: &$0)
        }
        #expect(seen == [[1, 2, 0], [1, 2, 3], [4, 2, 3]])
    }

    @Test func anUnsyncedAppendIsLostKeptWithZerosOrKept() {
        let seen = outcomes([1]) { write([2, 2], at: 1, to: &$0) }
        #expect(seen == [[1], [1, 0, 0], [1, 2, 2]])
    }

    @Test func anAllocationIsLostOrKept() {
        #expect(outcomes([1]) { $0.extend(to: 4) } == [[1], [1, 0, 0, 0]])
    }

    @Test func aTruncationKeepsLengthAndBytesTogether() {
        let seen = outcomes(repeated(1, 1024)) {
            $0.truncate(to: 100)
            write(repeated(2, 924), at: 100, to: &$0)
        }
        for bytes in seen {
            #expect([100, 1024].contains(bytes.count))
            #expect(bytes[..<100] == repeated(1, 100)[...])
            // Of the bytes cut off none comes back once the truncation is known to have survived.
            let rest = Set(bytes[100...])
            #expect(rest.count <= 2 && !rest.isSuperset(of: [0, 1]) && !rest.isSuperset(of: [1, 2]))
        }
        #expect(seen.contains(repeated(1, 1024)))
        #expect(seen.contains(repeated(1, 100)))
        #expect(seen.contains(repeated(1, 100) + repeated(2, 924)))
    }

    @Test func longAppendsEndInATornTail() {
        let seen = outcomes(seeds: 0..<1000) { content in
            for part in 0..<8 { write(repeated(UInt8(part + 1), 1000), at: part * 1000, to: &content) }
        }
        let whole = (0..<8).flatMap { repeated(UInt8($0 + 1), 1000) }
        // Some outcome is a proper prefix of whole sectors followed by zeros to the end.
        let isTorn = seen.contains { bytes in
            let good = zip(bytes, whole).prefix { $0 == $1 }.count
            return bytes.count == 8000 && good > 0 && good < 8000 && good.isMultiple(of: 512)
                && bytes[good...].allSatisfy { $0 == 0 }
        }
        #expect(isTorn)
    }

    @Test(arguments: 0..<200) func everyOutcomeIsOneTheModelAllows(_ number: Int) {
        var generator = SeededGenerator(seed: UInt64(number))
        var content = FileContent()
        var model = SectorModel()
        for step in 0..<(1 + generator.below(30)) {
            let length = content.bytes.count
            switch generator.below(10) {
            case 0: content.synchronize()
            case 1: content.extend(to: generator.below(5000))
            default:
                let bytes = repeated(UInt8(truncatingIfNeeded: step + 1), 1 + generator.below(1500))
                write(bytes, at: generator.below(length + 100), to: &content)
            }
            model.observe(content.bytes, isDurable: content.unsynced.isEmpty)
        }
        content.crash(.some, &generator)
        // Not inside the macro, which would print whole files.
        let isAllowed = model.allows(content.bytes)
        #expect(isAllowed, "seed \(number)")
    }

    /// Every state of the file since its last sync.
    private struct SectorModel {
        var states: [[UInt8]] = [[]]

        mutating func observe(_ bytes: [UInt8], isDurable: Bool) {
            if isDurable { states = [] }
            states.append(bytes)
        }

        func allows(_ bytes: [UInt8]) -> Bool {
            guard states.contains(where: { $0.count == bytes.count }) else { return false }
            return stride(from: 0, to: bytes.count, by: 512).allSatisfy { start in
                let found = sector(of: bytes, start, until: bytes.count)
                return states.contains { sector(of: $0, start, until: bytes.count) == found }
            }
        }

        /// One sector, with zeros where the file ends before it does.
        private func sector(of bytes: [UInt8], _ start: Int, until end: Int) -> [UInt8] {
            let stop = min(start + 512, end)
            let known = bytes.count > start ? Array(bytes[start..<min(stop, bytes.count)]) : []
            return known + repeated(0, stop - start - known.count)
        }
    }

    // MARK: - Failed syncs

    @Test func aFailedSyncShowsWhatItWillLose() {
        var generator = SeededGenerator(seed: 0)
        var sawLoss = false
        for _ in 0..<20 {
            var content = FileContent(bytes: repeated(1, 2000))
            write(repeated(2, 1500), at: 100, to: &content)
            content.dropUnsynced(&generator)
            let visible = content.bytes
            #expect(visible[100..<1600].allSatisfy { $0 == 2 })
            content.synchronize()
            #expect(content.bytes == visible)
            content.crash(.everything, &generator)
            #expect(content.bytes.count == 2000)
            sawLoss = sawLoss || content.bytes == repeated(1, 2000)
        }
        #expect(sawLoss)
    }

    @Test func rewritingAfterAFailedSyncSavesTheSector() {
        for seed in 0..<20 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            var content = FileContent(bytes: repeated(1, 1024))
            write(repeated(2, 1024), at: 0, to: &content)
            content.dropUnsynced(&generator)
            // Makes the first sector dirty again; the second stays lost, or was written before the failure.
            write([3], at: 0, to: &content)
            content.synchronize()
            content.crash(.nothing, &generator)
            let isSaved = content.bytes[..<512] == ([3] + repeated(2, 511))[...]
            #expect(isSaved, "seed \(seed)")
            #expect(Set(content.bytes[512...]).count == 1)
        }
    }

    @Test func aLengthOutlivesItsFailedSync() {
        var generator = SeededGenerator(seed: 3)
        var content = FileContent(bytes: [1])
        write(repeated(2, 10), at: 1, to: &content)
        content.dropUnsynced(&generator)
        content.synchronize()
        content.crash(.nothing, &generator)
        #expect(content.bytes.count == 11)
    }
}
