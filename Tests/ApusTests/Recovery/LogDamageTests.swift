// Damage to every byte of log and manifest: the right data, or a corruption error, never a shorter history.

import ApusIO
import Testing

@testable import Apus

/// Damage at rest: the right data, or a corruption error that names file and offset. A shorter prefix only where the
/// last batches, and nothing else, could as well have been torn by a crash.
@Suite struct LogDamageTests {
    private static let log1 = LogTestDatabase.path(.log(1))
    private static let log3 = LogTestDatabase.path(.log(3))
    private static let manifest = LogTestDatabase.path(.manifest(2))

    /// Two segments, four batches in each; the second holds frames with all kinds of synced lengths.
    private func twoSegments(isClosed: Bool = false) throws -> LogTestFileSystem {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk, segmentByteCount: 4096, manifestByteCount: 1024)
        for sequence in 1...8 {
            if sequence == 5 { try database.logs.rotate() }
            try database.commit(UInt64(sequence), 40, isDurable: sequence != 6)
        }
        if isClosed { try database.close() }
        #expect(disk.fileNames == ["000000000001.log", "000000000002.manifest", "000000000003.log", "CURRENT"])
        return disk
    }

    private enum Outcome: Equatable {
        case sequences([UInt64])
        case corruption(String)
        case fresh
    }

    private func outcome(_ disk: LogTestFileSystem) throws -> Outcome {
        do throws(ApusError) {
            guard let (_, replayed) = try LogTestDatabase.read(disk) else { return .fresh }
            #expect(replayed.batches.allSatisfy { $0.1 == LogTestDatabase.batch($0.0.rawValue, 40) })
            return .sequences(replayed.sequences)
        } catch {
            #expect(error.kind == .corruption, "\(error)")
            #expect(error.file != nil, "\(error)")
            return .corruption(error.file ?? "")
        }
    }

    private func flipping(
        _ path: String,
        in disk: LogTestFileSystem,
        bits: [Int],
        _ check: (Int, Outcome) -> Void
    ) throws {
        let good = disk.content(path)
        let used = 64 + (good.lastIndex { $0 != 0 } ?? 0)
        for index in good.indices where index < used || index % 61 == 0 {
            for bit in bits {
                var bad = good
                bad[index] ^= UInt8(truncatingIfNeeded: 1 << (bit == 8 ? index % 8 : bit))
                disk.setContent(path, bad)
                check(index, try outcome(disk))
            }
        }
        disk.setContent(path, good)
    }

    @Test func everyFlippedByteOfASealedSegmentIsFound() throws {
        let disk = try twoSegments()
        let used = 64 + 4 * LogTestDatabase.frameByteCount
        try flipping(Self.log1, in: disk, bits: [8, 3]) { index, outcome in
            #expect(outcome == (index < used ? .corruption(Self.log1) : .sequences(Array(1...8))), "byte \(index)")
        }
    }

    @Test func everyFlippedByteOfTheNewestSegmentIsFoundUpToTheLastSyncedFrame() throws {
        let disk = try twoSegments()
        let frame = LogTestDatabase.frameByteCount
        try flipping(Self.log3, in: disk, bits: [8, 0]) { index, outcome in
            switch index {
            case ..<(64 + 2 * frame): #expect(outcome == .corruption(Self.log3), "byte \(index)")
            // Batches 7 and 6 were made durable by one sync, before batch 8 was made.
            case ..<(64 + 3 * frame): #expect(outcome == .corruption(Self.log3), "byte \(index)")
            case ..<(64 + 4 * frame): #expect(outcome == .sequences(Array(1...7)), "byte \(index)")
            default: #expect(outcome == .sequences(Array(1...8)), "byte \(index)")
            }
        }
    }

    @Test func afterACleanCloseEvenTheLastFrameIsKnown() throws {
        let disk = try twoSegments(isClosed: true)
        let used = 64 + 4 * LogTestDatabase.frameByteCount
        try flipping(Self.log3, in: disk, bits: [8]) { index, outcome in
            #expect(outcome == (index < used ? .corruption(Self.log3) : .sequences(Array(1...8))), "byte \(index)")
        }
    }

    @Test func everyTruncationOfASegmentIsFound() throws {
        for path in [Self.log1, Self.log3] {
            let disk = try twoSegments()
            let good = disk.content(path)
            for count in good.indices where count < 700 || count % 61 == 0 || count > 4060 {
                disk.setContent(path, Array(good[..<count]))
                #expect(try outcome(disk) == .corruption(path), "cut to \(count)")
            }
        }
    }

    @Test func aMissingSegmentIsFound() throws {
        for path in [Self.log1, Self.log3] {
            let disk = try twoSegments()
            disk.setContent(path, nil)
            #expect(try outcome(disk) == .corruption(path))
        }
    }

    @Test func swappedAndDuplicatedSegmentsAreFound() throws {
        let disk = try twoSegments()
        let (first, second) = (disk.content(Self.log1), disk.content(Self.log3))
        disk.setContent(Self.log3, first)
        #expect(try outcome(disk) == .corruption(Self.log3))
        disk.setContent(Self.log1, second)
        #expect(try outcome(disk) == .corruption(Self.log1))
    }

    @Test func swappedAndRepeatedFramesAreFound() throws {
        let disk = try twoSegments()
        let good = disk.content(Self.log1)
        let size = LogTestDatabase.frameByteCount
        func frame(_ index: Int) -> ArraySlice<UInt8> { good[(64 + index * size)..<(64 + (index + 1) * size)] }
        for (target, source) in [(0, 1), (1, 0), (2, 3), (3, 2), (3, 0)] {
            var bad = good
            bad.replaceSubrange((64 + target * size)..<(64 + (target + 1) * size), with: frame(source))
            disk.setContent(Self.log1, bad)
            #expect(try outcome(disk) == .corruption(Self.log1), "\(source) over \(target)")
        }
    }

    @Test func aSegmentOfAnotherDatabaseIsFound() throws {
        let disk = try twoSegments()
        var header = SegmentHeader(
            purpose: .log,
            number: 3,
            databaseID: DatabaseID(first: 1, second: 2),
            capacity: 4096,
            previousNumber: 1
        )
        header.previousByteCount = UInt64(64 + 4 * LogTestDatabase.frameByteCount)
        header.previousLastSequence = SequenceNumber(4)
        var bad = disk.content(Self.log3)
        bad.replaceSubrange(0..<64, with: header.encoded)
        disk.setContent(Self.log3, bad)
        #expect(try outcome(disk) == .corruption(Self.log3))
    }

    @Test func aSegmentThatContinuesAnotherHistoryIsFound() throws {
        let disk = try twoSegments()
        let used = UInt64(64 + 4 * LogTestDatabase.frameByteCount)
        for (previous, length, last, isRight) in [(1, used, 4, true), (1, used, 5, false), (1, used, 3, false)]
            + [(2, used, 4, false), (0, 0, 4, false), (1, used - 8, 4, false), (1, used + 8, 4, false)]
        {
            var header = SegmentHeader(purpose: .log, number: 3, databaseID: LogTestDatabase.id, capacity: 4096)
            header.previousNumber = FileNumber(previous)
            header.previousByteCount = length
            header.previousLastSequence = SequenceNumber(UInt64(last))
            var bytes = disk.content(Self.log3)
            bytes.replaceSubrange(0..<64, with: header.encoded)
            disk.setContent(Self.log3, bytes)
            let found = try outcome(disk)
            #expect((found == .sequences(Array(1...8))) == isRight, "\(previous) \(length) \(last): \(found)")
        }
    }

    @Test func salvageReadsAManifestWithoutItsHeader() throws {
        let disk = try twoSegments()
        var bad = disk.content(Self.manifest)
        bad[60] ^= 1
        disk.setContent(Self.manifest, bad)
        let (recovered, replayed) = try #require(try LogTestDatabase.read(disk, mode: .salvage))
        #expect(replayed.sequences == Array(1...8))
        #expect(recovered.losses.map(\.file) == [Self.manifest])
    }

    @Test func anEarlierStateOfASegmentIsFound() throws {
        let disk = LogTestFileSystem()
        let database = try LogTestDatabase.open(disk)
        try database.commit(1)
        let early = disk.content(Self.log1)
        try database.commit(2)
        try database.logs.rotate()
        try database.commit(3)
        disk.setContent(Self.log1, early)
        #expect(throws: ApusError.self) { try LogTestDatabase.read(disk) }
    }

    @Test func everyFlippedByteOfTheManifestIsFoundOrItsLastEditWasNotNeeded() throws {
        for isClosed in [false, true] {
            let disk = try twoSegments(isClosed: isClosed)
            try flipping(Self.manifest, in: disk, bits: [8, 5]) { index, outcome in
                switch outcome {
                case .sequences(let found): #expect(found == Array(1...8), "byte \(index)")
                case .corruption: break
                case .fresh: Issue.record("byte \(index): taken for a fresh directory")
                }
            }
        }
    }

    @Test func everyTruncationOfTheManifestIsFound() throws {
        for isClosed in [false, true] {
            let disk = try twoSegments(isClosed: isClosed)
            let good = disk.content(Self.manifest)
            for count in good.indices where count < 500 || count % 61 == 0 || count > 4060 {
                disk.setContent(Self.manifest, Array(good[..<count]))
                #expect(try outcome(disk) == .corruption(Self.manifest), "cut to \(count)")
            }
            disk.setContent(Self.manifest, nil)
            #expect(try outcome(disk) == .corruption(Self.manifest))
        }
    }

    @Test func everyDamageToCurrentIsFound() throws {
        for isClosed in [false, true] {
            let disk = try twoSegments(isClosed: isClosed)
            let path = LogTestDatabase.path(.current)
            let good = disk.content(path)
            for index in good.indices {
                for bit in 0..<8 {
                    var bad = good
                    bad[index] ^= 1 << UInt8(bit)
                    disk.setContent(path, bad)
                    #expect(try outcome(disk) == .corruption(path), "byte \(index), bit \(bit)")
                }
                disk.setContent(path, Array(good[..<index]))
                #expect(try outcome(disk) == .corruption(path), "cut to \(index)")
            }
            disk.setContent(path, good + [0x0A])
            #expect(try outcome(disk) == .corruption(path))
            disk.setContent(path, nil)
            #expect(try outcome(disk) == .corruption(path))
        }
    }

    @Test func salvageReadsWhatIsLeftAndSaysWhatIsNot() throws {
        let disk = try twoSegments()
        let size = LogTestDatabase.frameByteCount
        var bad = disk.content(Self.log1)
        bad[64 + size + 30] ^= 1
        bad[64 + 2 * size] ^= 1
        disk.setContent(Self.log1, bad)
        let (recovered, replayed) = try #require(try LogTestDatabase.read(disk, mode: .salvage))
        #expect(recovered.losses.isEmpty)
        #expect(replayed.sequences == [1, 4, 5, 6, 7, 8])
        #expect(replayed.result.losses.map(\.offset) == [UInt64(64 + size)])
        #expect(replayed.result.losses.map(\.byteCount) == [UInt64(2 * size)])
    }

    @Test func salvageGoesOnWithoutASegmentWithoutAHeaderAndWithoutCurrent() throws {
        let disk = try twoSegments()
        disk.setContent(Self.log1, nil)
        let first = try #require(try LogTestDatabase.read(disk, mode: .salvage)).1
        #expect(first.sequences == [5, 6, 7, 8])
        #expect(first.result.losses.contains { $0.file == Self.log1 })
        var bad = disk.content(Self.log3)
        bad.replaceSubrange(0..<64, with: [UInt8](repeating: 7, count: 64))
        disk.setContent(Self.log3, bad)
        disk.setContent(LogTestDatabase.path(.current), nil)
        let (recovered, second) = try #require(try LogTestDatabase.read(disk, mode: .salvage))
        #expect(second.sequences == [5, 6, 7, 8])
        #expect(recovered.losses.map(\.file) == [LogTestDatabase.path(.current)])
    }
}

extension LogTestDatabase {
    /// Of a batch with a value of 40 bytes.
    static let frameByteCount = FrameHeader.frameByteCount(payloadByteCount: batch(1, 40).count)
}
