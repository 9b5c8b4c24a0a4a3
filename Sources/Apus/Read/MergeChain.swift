// Folding merge operands into a value: the one implementation, used by point look-ups, cursors and compactions.
//
//   state := base                                        (a value with its expiry, or nothing)
//   for each operand, oldest first:
//       if state had expired when the operand was written: state := nothing
//       value  := operator(state's value or nothing, operand)
//       expiry := the operand's own, or else state's, or else never                      — FORMAT.md §2.3
//
// Expiry is judged by the time at which the operand was written, never by the reader's, so that every reader and
// every compaction comes to the same result whenever it runs. Only the folded result is held against the reader's
// time.

import ApusIO

/// The operands of one key, from the newest down to the entry that ends the chain (a value, a deletion, or a range
/// deletion over the rest). Copies what it is given; reuse one chain with `removeAll` to save allocations.
struct MergeChain {
    private struct Operand {
        var offset: Int
        var byteCount: Int
        var writtenAt: UInt64
        var expiresAt: UInt64
    }

    /// Newest first.
    private var operands: [Operand] = []
    private var bytes: [UInt8] = []

    init() {}

    var isEmpty: Bool { operands.isEmpty }
    var count: Int { operands.count }

    mutating func removeAll() {
        operands.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
    }

    /// Adds an operand that is older than all so far.
    mutating func add(operand: UnsafeRawBufferPointer, writtenAt: UInt64, expiresAt: UInt64) {
        operands.append(store(operand, writtenAt, expiresAt))
    }

    /// Adds an operand that is newer than all so far. O(count).
    mutating func addNewer(operand: UnsafeRawBufferPointer, writtenAt: UInt64, expiresAt: UInt64) {
        operands.insert(store(operand, writtenAt, expiresAt), at: 0)
    }

    private mutating func store(
        _ operand: UnsafeRawBufferPointer,
        _ writtenAt: UInt64,
        _ expiresAt: UInt64
    ) -> Operand {
        let offset = bytes.count
        bytes.append(contentsOf: operand)
        return Operand(offset: offset, byteCount: operand.count, writtenAt: writtenAt, expiresAt: expiresAt)
    }

    /// When the folded result expires (0: never), without applying any operator.
    /// - Parameter baseExpiresAt: the expiry of the value below the chain (0: never); nil if there is no value.
    func expiry(baseExpiresAt: UInt64?) -> UInt64 {
        fold(baseExpiresAt).expiresAt
    }

    /// Whether the value below the chain has any part in the result.
    func needsBase(expiresAt: UInt64) -> Bool {
        fold(expiresAt).fresh == nil
    }

    /// The folded value and its expiry (0: never). The caller compares the expiry with the reader's time.
    /// - Precondition: the chain is not empty.
    func resolve(
        base: (value: UnsafeRawBufferPointer, expiresAt: UInt64)?,
        key: UnsafeRawBufferPointer,
        operator mergeOperator: (any MergeOperator)?
    ) throws(ApusError) -> (value: [UInt8], expiresAt: UInt64) {
        precondition(!operands.isEmpty)
        guard let mergeOperator else {
            throw .mergeFailed(key, "has merge operands but its keyspace has no merge operator")
        }
        let folded = fold(base?.expiresAt)
        // Operands below a fresh start have no part in the result; were they malformed, it would not matter.
        var index = folded.fresh ?? operands.count - 1
        var value: [UInt8] = []
        do {
            let first = folded.fresh == nil ? base?.value : nil
            try apply(mergeOperator, key, first, operands[index], &value)
            var previous: [UInt8] = []
            while index > 0 {
                index -= 1
                swap(&previous, &value)
                value.removeAll(keepingCapacity: true)
                let operand = operands[index]
                try previous.withUnsafeBytes { try apply(mergeOperator, key, $0, operand, &value) }
            }
        } catch let error as ApusError where error.kind == .mergeFailed {
            throw error
        } catch {
            throw .mergeFailed(key, "cannot be merged by \(mergeOperator.name): \(error)")
        }
        return (value, folded.expiresAt)
    }

    /// The expiry of the result, and the newest operand that starts from nothing because what lay below it had
    /// expired (nil: the base has a part in the result, if there is one).
    private func fold(_ baseExpiresAt: UInt64?) -> (expiresAt: UInt64, fresh: Int?) {
        var state = baseExpiresAt
        var fresh: Int?
        for index in operands.indices.reversed() {
            let operand = operands[index]
            if let expiry = state, expiry != 0 && expiry <= operand.writtenAt {
                state = nil
                fresh = index
            }
            state = operand.expiresAt != 0 ? operand.expiresAt : state ?? 0
        }
        return (state ?? 0, fresh)
    }

    private func apply(
        _ mergeOperator: any MergeOperator,
        _ key: UnsafeRawBufferPointer,
        _ existing: UnsafeRawBufferPointer?,
        _ operand: Operand,
        _ result: inout [UInt8]
    ) throws {
        try bytes.withUnsafeBytes { bytes in
            let operandBytes = UnsafeRawBufferPointer(
                rebasing: bytes[operand.offset..<(operand.offset + operand.byteCount)]
            )
            if let existing {
                try mergeOperator.merge(
                    key: key.bytes,
                    existing: existing.bytes,
                    operand: operandBytes.bytes,
                    into: &result
                )
            } else {
                try mergeOperator.merge(key: key.bytes, existing: nil, operand: operandBytes.bytes, into: &result)
            }
        }
        // Nothing could store it. The operands stay as they are, and can be deleted like any entry.
        if result.count > Limits.valueByteCount.upperBound {
            throw ApusError.mergeFailed(key, "is merged into more than \(Limits.valueByteCount.upperBound) bytes")
        }
    }
}

extension ApusError {
    static func mergeFailed(_ key: UnsafeRawBufferPointer, _ reason: String) -> ApusError {
        ApusError(.mergeFailed, "key \(printable(key)) \(reason)")
    }
}

/// A key for people: quoted text if it is printable ASCII, else hexadecimal; long keys are cut.
func printable(_ key: UnsafeRawBufferPointer) -> String {
    let shown = UnsafeRawBufferPointer(rebasing: key.prefix(64))
    let more = key.count > shown.count ? "… (\(key.count) bytes)" : ""
    if !shown.isEmpty && shown.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != 0x22 }) {
        return "\"" + String(decoding: shown, as: UTF8.self) + "\"" + more
    }
    let digits = Array("0123456789abcdef")
    var text = "0x"
    for byte in shown {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return text + more
}
