// The first 64 bytes of a log segment or a manifest.  FORMAT.md §3.1
//
//   0   magic                  "APLG" (log) or "APMF" (manifest)
//   4   format version         u32
//   8   file number            u64
//   16  database id            16 bytes
//   32  capacity               u64   bytes reserved before the header was written: the file is never shorter
//   40  previous segment       u64   file number, 0 = none
//   48  previous last sequence u64   every sequence number in this file is larger
//   56  previous length        u32   in units of 8 bytes: the predecessor is sealed, every byte up to it is valid
//   60  checksum               u32   masked CRC32C of bytes 0..<60
//
// The header of a log segment is written, and synced, when the segment comes into use, after its predecessor was
// synced. So it names a predecessor that is durable to its end, and no frame can be there before it. A segment that
// was prepared but never used has zeros in its place.

import ApusIO

struct SegmentHeader: Equatable, Sendable {
    enum Purpose: UInt32, Sendable {
        case log = 0x474C_5041
        case manifest = 0x464D_5041
    }

    var purpose: Purpose
    var number: FileNumber
    var databaseID: DatabaseID
    var capacity: UInt64
    var previousNumber: FileNumber = 0
    var previousByteCount: UInt64 = 0
    var previousLastSequence: SequenceNumber = .zero

    static let byteCount = 64
    static let formatVersion: UInt32 = 1

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        bytes.appendLittleEndian(purpose.rawValue)
        bytes.appendLittleEndian(Self.formatVersion)
        bytes.appendLittleEndian(number)
        bytes.appendLittleEndian(databaseID.first)
        bytes.appendLittleEndian(databaseID.second)
        bytes.appendLittleEndian(capacity)
        bytes.appendLittleEndian(previousNumber)
        bytes.appendLittleEndian(previousLastSequence.rawValue)
        bytes.appendLittleEndian(UInt32(previousByteCount / FrameHeader.alignment))
        bytes.appendLittleEndian(CRC32C.mask(bytes.withUnsafeBytes { CRC32C.checksum($0) }))
        return bytes
    }

    /// What the first bytes of a file say.
    enum Decoded {
        case header(SegmentHeader)
        /// The checksum holds, but the version is not ours.
        case unsupported(version: UInt32)
        /// Anything else, with the reason.
        case invalid(String)
    }

    /// - Precondition: `bytes` has at least `byteCount` bytes.
    static func decode(_ bytes: UnsafeRawBufferPointer) -> Decoded {
        let stored: UInt32 = bytes.littleEndian(at: 60)
        guard CRC32C.mask(CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[0..<60]))) == stored else {
            return .invalid("the segment header's checksum is wrong")
        }
        guard let purpose = Purpose(rawValue: bytes.littleEndian(at: 0)) else {
            return .invalid("the segment header's magic is wrong")
        }
        let version: UInt32 = bytes.littleEndian(at: 4)
        guard version == formatVersion else { return .unsupported(version: version) }
        let previousUnits: UInt32 = bytes.littleEndian(at: 56)
        return .header(
            SegmentHeader(
                purpose: purpose,
                number: bytes.littleEndian(at: 8),
                databaseID: DatabaseID(first: bytes.littleEndian(at: 16), second: bytes.littleEndian(at: 24)),
                capacity: bytes.littleEndian(at: 32),
                previousNumber: bytes.littleEndian(at: 40),
                previousByteCount: UInt64(previousUnits) * FrameHeader.alignment,
                previousLastSequence: SequenceNumber(bytes.littleEndian(at: 48))
            )
        )
    }
}
