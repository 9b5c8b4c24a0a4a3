// What follows the key of an entry, kind by kind. The same bytes stand in the log, the memtable and tables.
//
//   value                    bytes
//   deletion                 (empty)
//   rangeDeletion            end key, exclusive (the entry's key is the start)
//   mergeOperand             written at: u64 │ expires at: u64 (0 = inherits) │ operand
//   separatedValue           blob reference: file u64 │ offset u64 │ stored bytes u32 │ value bytes u32
//   expiringValue            expires at: u64 │ bytes
//   expiringSeparatedValue   expires at: u64 │ blob reference                       — FORMAT.md §2.3
//
// Integers are little-endian; times are milliseconds since 1970.

import ApusIO

/// Where a separated value lies.
struct BlobReference: Hashable, Sendable {
    var file: UInt64
    var offset: UInt64
    /// Bytes the record takes in the blob file, header included.
    var storedByteCount: UInt32
    /// Bytes of the value itself.
    var valueByteCount: UInt32

    static let encodedByteCount = 24
}

/// A decoded payload: views into the entry's bytes, valid as long as those are.
enum EntryPayload {
    /// `expiresAt` 0 = never.
    case value(UnsafeRawBufferPointer, expiresAt: UInt64)
    case separated(BlobReference, expiresAt: UInt64)
    case deletion
    case merge(operand: UnsafeRawBufferPointer, writtenAt: UInt64, expiresAt: UInt64)
    case rangeDeletion(end: UnsafeRawBufferPointer)

    /// nil if the payload is too short for its kind, or the kind is unknown.
    init?(_ trailer: Trailer, _ payload: UnsafeRawBufferPointer) {
        guard let kind = trailer.kind else { return nil }
        switch kind {
        case .value:
            self = .value(payload, expiresAt: 0)
        case .deletion:
            self = .deletion
        case .rangeDeletion:
            self = .rangeDeletion(end: payload)
        case .mergeOperand:
            guard payload.count >= 16 else { return nil }
            self = .merge(
                operand: UnsafeRawBufferPointer(rebasing: payload[16...]),
                writtenAt: payload.littleEndian(at: 0), expiresAt: payload.littleEndian(at: 8))
        case .separatedValue:
            guard payload.count == BlobReference.encodedByteCount else { return nil }
            self = .separated(BlobReference(payload), expiresAt: 0)
        case .expiringValue:
            guard payload.count >= 8 else { return nil }
            self = .value(UnsafeRawBufferPointer(rebasing: payload[8...]), expiresAt: payload.littleEndian(at: 0))
        case .expiringSeparatedValue:
            guard payload.count == 8 + BlobReference.encodedByteCount else { return nil }
            self = .separated(
                BlobReference(UnsafeRawBufferPointer(rebasing: payload[8...])), expiresAt: payload.littleEndian(at: 0))
        }
    }
}

extension BlobReference {
    /// - Precondition: `bytes` holds exactly `encodedByteCount` bytes.
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        file = bytes.littleEndian(at: 0)
        offset = bytes.littleEndian(at: 8)
        let sizes: UInt64 = bytes.littleEndian(at: 16)
        storedByteCount = UInt32(truncatingIfNeeded: sizes)
        valueByteCount = UInt32(truncatingIfNeeded: sizes >> 32)
    }

    func encode(into output: inout [UInt8]) {
        withEncodedBytes { output.append(contentsOf: $0) }
    }

    /// Calls `body` with the encoded reference.
    func withEncodedBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let sizes = UInt64(storedByteCount) | UInt64(valueByteCount) << 32
        let words = (file.littleEndian, offset.littleEndian, sizes.littleEndian)
        return try Swift.withUnsafeBytes(of: words) { (bytes) throws(Failure) in try body(bytes) }
    }
}

extension UnsafeRawBufferPointer {
    /// The integer at `offset`, little-endian, unaligned. Bounds are the caller's duty (checked in debug builds).
    @inline(__always)
    func littleEndian<Value: FixedWidthInteger>(at offset: Int) -> Value {
        Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}

extension [UInt8] {
    @inline(__always)
    mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}
