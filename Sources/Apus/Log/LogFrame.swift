// Frames: how records lie in log segments and manifests.  FORMAT.md §3.2
//
//   0   header checksum    u32   masked CRC32C of: frame's place, then bytes 4..<24
//   4   payload checksum   u32   masked CRC32C of: frame's place, then payload and padding
//   8   payload length     u32
//   12  synced length      u32   in units of 8 bytes: how much of this file was durable when the frame was made
//   16  trailer            u64   sequence << 8 │ frame kind
//   24  payload, then zeros up to a multiple of 8
//
// A frame's place is the database's id, the file's number and the frame's offset. It is part of both checksums, so a
// frame is valid in one place of one file only: what a recycled file still holds of its former life, a duplicated
// file, a block written to the wrong place or a copy of a log stored as a value are never taken for a frame.

import ApusIO

/// What a frame holds. On disk: never renumber, never reuse. 0 is never used, so zeroed space is no frame.
enum FrameKind: UInt8, Sendable {
    /// A batch of entries, in a log segment.
    case batch = 1
    /// A version edit, in a manifest.
    case edit = 2
    /// A batch of which some values lie in blob files, in a log segment.
    case separatedBatch = 3

    /// Whether the payload is a batch.
    var isBatch: Bool { self != .edit }
}

/// A database's identity: 16 random bytes, chosen when it was created.
struct DatabaseID: Hashable, Sendable, CustomStringConvertible {
    var first: UInt64
    var second: UInt64

    static let byteCount = 16

    var description: String { Self.hexadecimal(first) + Self.hexadecimal(second) }

    private static func hexadecimal(_ value: UInt64) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }
}

/// The part of a frame's place that one file's frames share, as the start of their checksums.
struct FramePlace: Sendable {
    private let file: UInt32

    init(_ databaseID: DatabaseID, _ number: FileNumber) {
        let words = (databaseID.first.littleEndian, databaseID.second.littleEndian, number.littleEndian)
        file = withUnsafeBytes(of: words) { CRC32C.checksum($0) }
    }

    /// The checksum state that both checksums of the frame at `offset` continue.
    @inline(__always)
    func seed(at offset: UInt64) -> UInt32 {
        withUnsafeBytes(of: offset.littleEndian) { CRC32C.checksum($0, seed: file) }
    }
}

/// The first 24 bytes of a frame, checked.
struct FrameHeader: Sendable {
    var payloadChecksum: UInt32
    var payloadByteCount: Int
    /// How many bytes of the file were known to be durable when the frame was made.
    var syncedByteCount: UInt64
    var sequence: SequenceNumber
    /// A `FrameKind`, or a number that this version does not know.
    var kind: UInt8

    static let byteCount = 24
    static let alignment: UInt64 = 8
    /// What the synced length and the header's sealed length can express.
    static let maximumFileByteCount = UInt64(UInt32.max) * alignment

    /// Bytes that a frame with this payload takes in the file.
    @inline(__always)
    static func frameByteCount(payloadByteCount: Int) -> Int { byteCount + (payloadByteCount + 7) & ~7 }

    var frameByteCount: UInt64 { UInt64(Self.frameByteCount(payloadByteCount: payloadByteCount)) }

    /// The header in the 24 bytes at `bytes`, which lie at `offset` of a file whose frames end at `limit` at the
    /// latest. nil unless the checksum holds and every field is possible there. Constant time.
    static func decode(_ bytes: UnsafeRawPointer, at offset: UInt64, limit: UInt64, _ place: FramePlace) -> FrameHeader?
    {
        let header = UnsafeRawBufferPointer(start: bytes, count: byteCount)
        let trailer: UInt64 = header.littleEndian(at: 16)
        let kind = UInt8(truncatingIfNeeded: trailer)
        guard kind != 0 else { return nil }
        let payloadByteCount: UInt32 = header.littleEndian(at: 8)
        let syncedUnits: UInt32 = header.littleEndian(at: 12)
        let synced = UInt64(syncedUnits) * alignment
        guard synced <= offset, offset + UInt64(frameByteCount(payloadByteCount: Int(payloadByteCount))) <= limit
        else { return nil }
        let stored: UInt32 = header.littleEndian(at: 0)
        let covered = UnsafeRawBufferPointer(rebasing: header[4...])
        guard CRC32C.mask(CRC32C.checksum(covered, seed: place.seed(at: offset))) == stored else { return nil }
        return FrameHeader(
            payloadChecksum: header.littleEndian(at: 4),
            payloadByteCount: Int(payloadByteCount),
            syncedByteCount: synced,
            sequence: SequenceNumber(trailer >> 8),
            kind: kind
        )
    }

    /// Whether `stored` (payload and padding) is what the frame at `offset` was made with.
    func matches(_ stored: UnsafeRawBufferPointer, at offset: UInt64, _ place: FramePlace) -> Bool {
        CRC32C.mask(CRC32C.checksum(stored, seed: place.seed(at: offset))) == payloadChecksum
    }

    /// Writes a whole frame to `output`, which has room for `frameByteCount(payloadByteCount:)` bytes that will lie at
    /// `offset`. `fill` writes the payload to where it is told.
    @inline(__always)
    static func encode(
        payloadByteCount: Int,
        sequence: SequenceNumber,
        kind: FrameKind,
        syncedByteCount: UInt64,
        at offset: UInt64,
        _ place: FramePlace,
        to output: UnsafeMutableRawPointer,
        _ fill: (UnsafeMutableRawPointer) -> Void
    ) {
        let stored = frameByteCount(payloadByteCount: payloadByteCount) - byteCount
        let body = output + byteCount
        if stored > payloadByteCount {
            (body + (stored - 8)).storeBytes(of: 0, as: UInt64.self)
        }
        fill(body)
        let seed = place.seed(at: offset)
        let payloadChecksum = CRC32C.checksum(UnsafeRawBufferPointer(start: body, count: stored), seed: seed)
        let trailer = sequence.rawValue << 8 | UInt64(kind.rawValue)
        output.storeBytes(of: CRC32C.mask(payloadChecksum).littleEndian, toByteOffset: 4, as: UInt32.self)
        output.storeBytes(of: UInt32(payloadByteCount).littleEndian, toByteOffset: 8, as: UInt32.self)
        output.storeBytes(of: UInt32(syncedByteCount / alignment).littleEndian, toByteOffset: 12, as: UInt32.self)
        output.storeBytes(of: trailer.littleEndian, toByteOffset: 16, as: UInt64.self)
        let covered = UnsafeRawBufferPointer(start: output + 4, count: byteCount - 4)
        let checksum = CRC32C.mask(CRC32C.checksum(covered, seed: seed))
        output.storeBytes(of: checksum.littleEndian, as: UInt32.self)
    }

    /// The same for a payload that exists.
    @inline(__always)
    static func encode(
        _ payload: UnsafeRawBufferPointer,
        sequence: SequenceNumber,
        kind: FrameKind,
        syncedByteCount: UInt64,
        at offset: UInt64,
        _ place: FramePlace,
        to output: UnsafeMutableRawPointer
    ) {
        encode(
            payloadByteCount: payload.count,
            sequence: sequence,
            kind: kind,
            syncedByteCount: syncedByteCount,
            at: offset,
            place,
            to: output
        ) { body in
            if let source = payload.baseAddress { body.copyMemory(from: source, byteCount: payload.count) }
        }
    }
}
