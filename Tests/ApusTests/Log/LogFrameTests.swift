// The bytes of a frame: frozen layout, and that no frame is valid in another place or another file.

import Testing

@testable import Apus

@Suite struct LogFrameTests {
    private static let id = DatabaseID(first: 0x0706_0504_0302_0100, second: 0x0F0E_0D0C_0B0A_0908)

    private func encoded(_ payload: [UInt8], at offset: UInt64 = 64, number: FileNumber = 5) -> [UInt8] {
        let count = FrameHeader.frameByteCount(payloadByteCount: payload.count)
        var bytes = [UInt8](repeating: 0xEE, count: count)
        bytes.withUnsafeMutableBytes { bytes in
            payload.withUnsafeBytes { payload in
                FrameHeader.encode(
                    payload,
                    sequence: SequenceNumber(7),
                    kind: .batch,
                    syncedByteCount: 64,
                    at: offset,
                    FramePlace(Self.id, number),
                    to: bytes.baseAddress!
                )
            }
        }
        return bytes
    }

    private func isValid(_ bytes: [UInt8], at offset: UInt64, _ place: FramePlace) -> Bool {
        bytes.withUnsafeBytes { bytes in
            guard let header = FrameHeader.decode(bytes.baseAddress!, at: offset, limit: 1 << 20, place) else {
                return false
            }
            guard Int(header.frameByteCount) == bytes.count else { return false }
            return header.matches(UnsafeRawBufferPointer(rebasing: bytes[24...]), at: offset, place)
        }
    }

    @Test func layoutIsFrozen() {
        let bytes = encoded([1, 2, 3])
        #expect(bytes.count == 32)
        #expect(bytes[8..<24] == [3, 0, 0, 0, 8, 0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 0])
        #expect(bytes[24...] == [1, 2, 3, 0, 0, 0, 0, 0])
        // Computed independently: masked CRC32C of 16 id bytes, number, offset, then the bytes.
        let place: [UInt8] = Array(0..<16) + [5, 0, 0, 0, 0, 0, 0, 0] + [64, 0, 0, 0, 0, 0, 0, 0]
        func stored(_ at: Int) -> UInt32 { bytes.withUnsafeBytes { $0.littleEndian(at: at) } }
        let payloadChecksum = (place + bytes[24...]).withUnsafeBytes { CRC32C.mask(CRC32C.software($0)) }
        let headerChecksum = (place + bytes[4..<24]).withUnsafeBytes { CRC32C.mask(CRC32C.software($0)) }
        #expect(stored(4) == payloadChecksum)
        #expect(stored(0) == headerChecksum)
    }

    @Test func headerLayoutIsFrozen() {
        var header = SegmentHeader(purpose: .log, number: 5, databaseID: Self.id, capacity: 4096, previousNumber: 3)
        header.previousByteCount = 800
        header.previousLastSequence = SequenceNumber(9)
        let bytes = header.encoded
        #expect(bytes.count == 64)
        #expect(Array(bytes[0..<8]) == Array("APLG".utf8) + [1, 0, 0, 0])
        #expect(Array(bytes[8..<32]) == [5, 0, 0, 0, 0, 0, 0, 0] + Array(0..<16))
        #expect(Array(bytes[32..<48]) == [0, 16, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes[48..<60]) == [9, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0])
        guard case .header(let decoded) = bytes.withUnsafeBytes({ SegmentHeader.decode($0) }) else {
            Issue.record("not decoded")
            return
        }
        #expect(decoded == header)
    }

    @Test func aNewerVersionIsUnsupportedNotDamage() {
        var bytes = SegmentHeader(purpose: .log, number: 5, databaseID: Self.id, capacity: 4096).encoded
        bytes[4] = 2
        bytes.removeLast(4)
        bytes.appendLittleEndian(CRC32C.mask(bytes.withUnsafeBytes { CRC32C.checksum($0) }))
        guard case .unsupported(version: 2) = bytes.withUnsafeBytes({ SegmentHeader.decode($0) }) else {
            Issue.record("version 2 was not recognised")
            return
        }
    }

    @Test func aFrameIsValidInOnePlaceOnly() {
        let bytes = encoded(Array(repeating: 9, count: 40))
        #expect(isValid(bytes, at: 64, FramePlace(Self.id, 5)))
        #expect(!isValid(bytes, at: 128, FramePlace(Self.id, 5)))
        #expect(!isValid(bytes, at: 64, FramePlace(Self.id, 6)))
        #expect(!isValid(bytes, at: 64, FramePlace(DatabaseID(first: 0, second: 0), 5)))
    }

    @Test func everyFlippedBitIsFoundPaddingIncluded() {
        for count in [1, 8, 21] {
            let good = encoded((0..<count).map { UInt8($0) })
            for index in good.indices {
                for bit in 0..<8 {
                    var bad = good
                    bad[index] ^= 1 << UInt8(bit)
                    #expect(!isValid(bad, at: 64, FramePlace(Self.id, 5)), "byte \(index), bit \(bit)")
                }
            }
        }
    }

    @Test func lengthsBeyondTheLimitAreNoFrame() {
        let bytes = encoded(Array(repeating: 1, count: 100))
        bytes.withUnsafeBytes { bytes in
            let place = FramePlace(Self.id, 5)
            #expect(FrameHeader.decode(bytes.baseAddress!, at: 64, limit: 64 + 128, place) != nil)
            #expect(FrameHeader.decode(bytes.baseAddress!, at: 64, limit: 64 + 127, place) == nil)
        }
    }
}
