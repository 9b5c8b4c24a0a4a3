// The bytes of version edits, and edits that no honest writer makes.

import ApusIO
import Testing

@testable import Apus

@Suite struct VersionEditTests {
    static let everyChange: [VersionEdit.Change] = {
        var settings = KeyspaceSettings()
        settings.codec = .none
        settings.bottomCodec = .zstd
        settings.timeToLive = 86_400_000
        settings.mergeOperatorName = "add"
        settings.style = .fifo(maximumByteCount: 1 << 40, maximumAge: 5)
        settings.separationThreshold = .max
        settings.isEphemeral = true
        var table = TableMetadata.sample(20, "", "")
        table.smallest = [0]
        table.largest = [0xFF, 0, 0xFF]
        table.largestIsExclusive = true
        table.largestSequence = .max
        table.rangeDeletionCount = 3
        table.earliestExpiry = .max
        table.blobReferences = [
            .init(file: 7, byteCount: 1, valueCount: 1), .init(file: 9, byteCount: .max, valueCount: 2),
        ]
        let blob = BlobFileMetadata(number: 7, byteCount: 10, checksum: 1, valueCount: 2, recordByteCount: 9)
        return [
            .databaseID(LogTestDatabase.id), .nextFileNumber(900), .nextKeyspaceID(17), .lastSequence(.max),
            .keyspaceCreated(1, name: "users é", KeyspaceSettings()), .keyspaceCreated(2, name: "x", settings),
            .keyspaceChanged(1, settings), .blobAdded(1, blob), .tableAdded(1, level: 6, table),
            .flushedSequence(1, SequenceNumber(5)), .logCreated(30, byteCount: 1 << 26),
            .cleanClose(CleanClose(lastSequence: SequenceNumber(8), logNumber: 30, logByteCount: 64)),
            .tableRemoved(1, level: 6, 20), .blobRemoved(1, 7), .logDeleted(30), .keyspaceDropped(2),
        ]
    }()

    private func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> VersionEdit {
        try bytes.withUnsafeBufferPointer { (bytes) throws(DecodingFailure) in
            try VersionEdit(decoding: UnsafeRawBufferPointer(bytes))
        }
    }

    @Test func everyChangeIsDecodedAsItWasEncoded() throws {
        let edit = VersionEdit(Self.everyChange)
        #expect(try decode(edit.encoded) == edit)
        #expect(try decode(VersionEdit().encoded) == VersionEdit())
    }

    @Test func layoutIsFrozen() {
        let settings: [UInt8] = [1, 1, 1, 2, 1, 1, 3, 1, 0, 4, 0, 5, 1, 0, 6, 1, 10, 7, 1, 0, 8, 1, 0]
        let edit = VersionEdit([
            .keyspaceCreated(3, name: "ab", KeyspaceSettings()), .tableAdded(3, level: 1, .sample(300, "a", "b")),
            .logDeleted(5),
        ])
        let table: [UInt8] =
            [0xAC, 2, 0x80, 0x20, 0xEF, 0xBE, 0xAD, 0xDE, 1, 0x61, 1, 0x62, 0, 1, 10, 10, 1, 0, 0xE8, 7]
            + [0x80, 0xD0, 0x95, 0xFF, 0xBC, 0x31, 0, 0]
        let expected =
            [3, 5, UInt8(4 + settings.count), 3, 2, 0x61, 0x62] + settings + [8, UInt8(2 + table.count), 3, 1] + table
            + [14, 1, 5]
        #expect(edit.encoded == expected)
    }

    @Test func anythingCutOffOrTooLongIsRefused() {
        let bytes = VersionEdit(Self.everyChange).encoded
        for count in bytes.indices {
            #expect(throws: DecodingFailure.self) { try decode(Array(bytes[..<count])) }
        }
        #expect(throws: DecodingFailure.self) { try decode(bytes + [0]) }
    }

    @Test func hostileBytesAreRefusedOrDecodeToWhatEncodesAgain() throws {
        let seed: UInt64 = 0xED17
        var random = TestRandom(seed: seed)
        let good = VersionEdit(Self.everyChange).encoded
        for round in 0..<20_000 {
            var bytes = good
            for _ in 0...random.below(3) { bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next()) }
            if random.below(4) == 0 { bytes.removeLast(random.below(bytes.count)) }
            guard let edit = try? decode(bytes) else { continue }
            #expect(try decode(edit.encoded) == edit, "seed \(seed), round \(round)")
            var state = ManifestState(databaseID: LogTestDatabase.id)
            try? state.apply(edit)
        }
    }

    @Test func hugeCountsAllocateNothing() {
        #expect(throws: DecodingFailure.self) { try decode([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]) }
        #expect(throws: DecodingFailure.self) {
            try decode([1, 8, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1])
        }
        #expect(throws: DecodingFailure.self) { try decode([1, 99, 0]) }
    }
}
