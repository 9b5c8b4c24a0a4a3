// The merge operators that come with the engine: counters, lists, maxima, and first write wins.

import ApusIO

/// Adds 64-bit integers (little-endian two's complement), wrapping around. A missing value counts as zero.
public struct AddMergeOperator: MergeOperator {
    public var name: String { "apus.add" }

    public func merge(key: RawSpan, existing: RawSpan?, operand: RawSpan, into result: inout [UInt8]) throws {
        var sum = try AddMergeOperator.integer(operand, "operand")
        if let existing { sum &+= try AddMergeOperator.integer(existing, "value") }
        result.appendLittleEndian(sum)
    }

    private static func integer(_ bytes: RawSpan, _ what: String) throws -> UInt64 {
        guard bytes.byteCount == 8 else {
            throw MergeOperandError("add needs 8 bytes, but the \(what) has \(bytes.byteCount)")
        }
        return bytes.withUnsafeBytes { $0.littleEndian(at: 0) }
    }
}

/// Appends the operand's bytes to the value.
public struct AppendMergeOperator: MergeOperator {
    public var name: String { "apus.append" }

    public func merge(key: RawSpan, existing: RawSpan?, operand: RawSpan, into result: inout [UInt8]) throws {
        result.reserveCapacity((existing?.byteCount ?? 0) + operand.byteCount)
        if let existing { existing.withUnsafeBytes { result.append(contentsOf: $0) } }
        operand.withUnsafeBytes { result.append(contentsOf: $0) }
    }
}

/// Keeps the larger of value and operand, by unsigned bytes.
public struct MaximumMergeOperator: MergeOperator {
    public var name: String { "apus.maximum" }

    public func merge(key: RawSpan, existing: RawSpan?, operand: RawSpan, into result: inout [UInt8]) throws {
        operand.withUnsafeBytes { operand in
            guard let existing else { return result.append(contentsOf: operand) }
            existing.withUnsafeBytes { existing in
                result.append(contentsOf: compareBytes(existing, operand) < 0 ? operand : existing)
            }
        }
    }
}

/// Keeps the value if there is one; otherwise the operand becomes the value.
public struct SetIfAbsentMergeOperator: MergeOperator {
    public var name: String { "apus.setIfAbsent" }

    public func merge(key: RawSpan, existing: RawSpan?, operand: RawSpan, into result: inout [UInt8]) throws {
        if let existing {
            existing.withUnsafeBytes { result.append(contentsOf: $0) }
        } else {
            operand.withUnsafeBytes { result.append(contentsOf: $0) }
        }
    }
}

extension MergeOperator where Self == AddMergeOperator {
    /// Adds 64-bit integers, little-endian.
    public static var add: AddMergeOperator { AddMergeOperator() }
}

extension MergeOperator where Self == AppendMergeOperator {
    /// Appends the operand's bytes to the value.
    public static var append: AppendMergeOperator { AppendMergeOperator() }
}

extension MergeOperator where Self == MaximumMergeOperator {
    /// Keeps the larger of value and operand.
    public static var maximum: MaximumMergeOperator { MaximumMergeOperator() }
}

extension MergeOperator where Self == SetIfAbsentMergeOperator {
    /// The first operand becomes the value; later ones change nothing.
    public static var setIfAbsent: SetIfAbsentMergeOperator { SetIfAbsentMergeOperator() }
}
