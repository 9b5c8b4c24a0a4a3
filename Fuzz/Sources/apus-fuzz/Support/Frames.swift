// Files of frames, made for seeds, and made valid again after mutations: a decoder behind a checksum is never reached
// otherwise.

@testable import Apus

enum Frames {
    static let databaseID = DatabaseID(first: 0x0123_4567_89AB_CDEF, second: 0xFEDC_BA98_7654_3210)

    /// A whole file: header, frames with these sequence numbers and payloads, and zeros up to the capacity.
    static func file(
        _ header: SegmentHeader,
        _ kind: FrameKind,
        _ frames: [(sequence: UInt64, payload: [UInt8])],
        padding: Int = 0
    ) -> [UInt8] {
        let place = FramePlace(header.databaseID, header.number)
        var body: [UInt8] = []
        for frame in frames {
            let offset = SegmentHeader.byteCount + body.count
            var bytes = [UInt8](repeating: 0, count: FrameHeader.frameByteCount(payloadByteCount: frame.payload.count))
            bytes.withUnsafeMutableBytes { output in
                frame.payload.withUnsafeBytes { payload in
                    FrameHeader.encode(
                        payload,
                        sequence: SequenceNumber(frame.sequence),
                        kind: kind,
                        syncedByteCount: UInt64(offset),
                        at: UInt64(offset),
                        place,
                        to: output.baseAddress!
                    )
                }
            }
            body += bytes
        }
        body += [UInt8](repeating: 0, count: padding)
        var header = header
        header.capacity = UInt64(SegmentHeader.byteCount + body.count)
        return header.encoded + body
    }

    /// Puts right checksums over whatever the bytes say, and lengths that reach too far within the file. A frame whose
    /// payload checksum reads 0xFFFFFFFF is left as it is: torn.
    ///
    /// - Parameter isOurs: also puts right what says which file of which database this is.
    static func repair(_ bytes: inout [UInt8], _ purpose: SegmentHeader.Purpose, _ number: FileNumber, isOurs: Bool) {
        guard bytes.count >= SegmentHeader.byteCount else { return }
        if isOurs {
            bytes.setInteger(purpose.rawValue, at: 0)
            bytes.setInteger(SegmentHeader.formatVersion, at: 4)
            bytes.setInteger(number, at: 8)
            bytes.setInteger(databaseID.first, at: 16)
            bytes.setInteger(databaseID.second, at: 24)
        }
        bytes.setInteger(CRC32C.mask(checksum(bytes[0..<60], seed: 0)), at: 60)
        let place = FramePlace(
            DatabaseID(first: bytes.integer(at: 16), second: bytes.integer(at: 24)),
            bytes.integer(at: 8)
        )
        var offset = SegmentHeader.byteCount
        while bytes.count - offset >= FrameHeader.byteCount, bytes[offset + 16] != 0 {
            let room = (bytes.count - offset - FrameHeader.byteCount) & ~7
            let claimed = Int(bytes.integer(at: offset + 8, UInt32.self))
            let payload = min(claimed, room)
            let end = offset + FrameHeader.frameByteCount(payloadByteCount: payload)
            if bytes.integer(at: offset + 4, UInt32.self) != .max {
                bytes.setInteger(UInt32(payload), at: offset + 8)
                let seed = place.seed(at: UInt64(offset))
                let body = checksum(bytes[(offset + FrameHeader.byteCount)..<end], seed: seed)
                bytes.setInteger(CRC32C.mask(body), at: offset + 4)
                bytes.setInteger(CRC32C.mask(checksum(bytes[(offset + 4)..<(offset + 24)], seed: seed)), at: offset)
            }
            offset = end
        }
    }

    static func checksum(_ bytes: ArraySlice<UInt8>, seed: UInt32) -> UInt32 {
        bytes.withUnsafeBytes { CRC32C.checksum($0, seed: seed) }
    }
}

/// The bytes of a batch, for seeds.
func batchBytes(_ entries: [(kind: EntryKind, keyspace: UInt32, key: [UInt8], payload: [UInt8])]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.appendLittleEndian(UInt32(entries.count))
    for entry in entries {
        bytes.append(entry.kind.rawValue)
        bytes.appendVarint(UInt64(entry.keyspace))
        entry.key.withUnsafeBytes { bytes.appendLengthPrefixed($0) }
        entry.payload.withUnsafeBytes { bytes.appendLengthPrefixed($0) }
    }
    return bytes
}
