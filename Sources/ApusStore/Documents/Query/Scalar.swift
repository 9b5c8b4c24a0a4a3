// Single values as conditions, sorting and indexes see them: where they lie, whether in a record or in a constant. The
// one order of values is defined here, and the bytes of keys that keep it.

import Apus

/// A value that is not an array or object. Points into memory that somebody else keeps: never stored.
enum Scalar {
    case null
    case bool(Bool)
    case integer(Int64)
    case unsigned(UInt64)
    case double(Double)
    case string(UnsafeRawBufferPointer)
    case bytes(UnsafeRawBufferPointer)
    case date(Int64)
    case id(UInt128)
    /// An array or object: equal to nothing, ordered with nothing.
    case composite

    @inline(__always)
    init(_ value: RawValue) {
        switch value.tag {
        case RecordTag.null: self = .null
        case RecordTag.false: self = .bool(false)
        case RecordTag.true: self = .bool(true)
        case RecordTag.integer: self = .integer(unzigzag(value.varint))
        case RecordTag.unsigned: self = .unsigned(value.varint)
        case RecordTag.double, RecordTag.float: self = .double(value.doubleValue!)
        case RecordTag.string: self = .string(value.content)
        case RecordTag.bytes: self = .bytes(value.content)
        case RecordTag.date: self = .date(unzigzag(value.varint))
        case RecordTag.id: self = .id(value.idValue!.value)
        case RecordTag.array, RecordTag.object: self = .composite
        case RecordTag.shortString...: self = .string(value.content)
        default: self = .integer(Int64(value.tag & 0x3F))
        }
    }

    /// Values of different ranks have no order in conditions, and this one in sorting.
    private var rank: Int {
        switch self {
        case .null: 0
        case .bool: 1
        case .integer, .unsigned, .double: 2
        case .date: 3
        case .id: 4
        case .bytes: 5
        case .string: 6
        case .composite: 7
        }
    }

    /// Negative, zero or positive as `self` is less than, equal to or greater than `other`; nil if there is no order
    /// between them. Integers and fractions are compared exactly.
    @inline(__always)
    func order(_ other: Scalar) -> Int? {
        switch (self, other) {
        case (.integer(let a), .integer(let b)): a < b ? -1 : a == b ? 0 : 1
        case (.string(let a), .string(let b)), (.bytes(let a), .bytes(let b)): Self.compareBytes(a, b)
        case (.id(let a), .id(let b)): a < b ? -1 : a == b ? 0 : 1
        case (.date(let a), .date(let b)): a < b ? -1 : a == b ? 0 : 1
        case (.null, .null): 0
        case (.bool(let a), .bool(let b)): (a ? 1 : 0) - (b ? 1 : 0)
        case (.composite, _): nil
        default: rank == 2 && other.rank == 2 ? numericOrder(other) : nil
        }
    }

    private static func compareBytes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        let common = Swift.min(a.count, b.count)
        for index in 0..<common where a[index] != b[index] { return a[index] < b[index] ? -1 : 1 }
        return a.count - b.count
    }

    private func numericOrder(_ other: Scalar) -> Int? {
        switch (self, other) {
        case (.double(let a), .double(let b)): a < b ? -1 : a == b ? 0 : a > b ? 1 : nil
        case (.double(let a), _): other.integerOrder(a).map { -$0 }
        case (_, .double(let b)): integerOrder(b)
        default: wide! < other.wide! ? -1 : wide! == other.wide! ? 0 : 1
        }
    }

    private var wide: Int128? {
        switch self {
        case .integer(let value): Int128(value)
        case .unsigned(let value): Int128(value)
        default: nil
        }
    }

    /// An integer against a fraction.
    private func integerOrder(_ fraction: Double) -> Int? {
        guard let wide, !fraction.isNaN else { return nil }
        if fraction >= 0x1p65 { return -1 }
        if fraction <= -0x1p65 { return 1 }
        let whole = Int128(fraction)
        if wide != whole { return wide < whole ? -1 : 1 }
        let rest = fraction - fraction.rounded(.towardZero)
        return rest > 0 ? -1 : rest < 0 ? 1 : 0
    }

    func isEqual(_ other: Scalar) -> Bool { order(other) == 0 }
}

extension JSONValue {
    /// Calls `body` with the value as a scalar.
    @inline(__always)
    func withScalar<Result>(_ body: (Scalar) throws -> Result) rethrows -> Result {
        switch self {
        case .null: return try body(.null)
        case .bool(let value): return try body(.bool(value))
        case .integer(let value): return try body(.integer(value))
        case .unsigned(let value): return try body(.unsigned(value))
        case .double(let value): return try body(.double(value))
        case .string(var value): return try value.withUTF8 { try body(.string(UnsafeRawBufferPointer($0))) }
        case .bytes(let value): return try value.withUnsafeBytes { try body(.bytes($0)) }
        case .date(let value): return try body(.date(value.milliseconds))
        case .id(let value): return try body(.id(value.value))
        case .array, .object: return try body(.composite)
        }
    }

    /// The value as a field of that kind holds it: text as an identifier or a time, a whole number as an integer. nil
    /// if the field cannot hold it.
    func converted(to kind: FieldKind) -> JSONValue? {
        switch (kind, self) {
        case (_, .null), (.any, _), (.bool, .bool), (.integer, .integer), (.integer, .unsigned), (.double, .double),
            (.string, .string), (.bytes, .bytes), (.date, .date), (.id, .id):
            return self
        case (.integer, .double(let value)):
            return Int64(exactly: value).map { .integer($0) } ?? UInt64(exactly: value).map { .unsigned($0) }
        case (.double, .integer(let value)): return Double(exactly: value).map { .double($0) }
        case (.double, .unsigned(let value)): return Double(exactly: value).map { .double($0) }
        case (.date, .integer(let value)): return .date(Timestamp(milliseconds: value))
        case (.date, .string(let text)): return Timestamp(text).map { .date($0) }
        case (.id, .string(let text)): return DocumentID(text).map { .id($0) }
        case (.bytes, .string(let text)): return ApusStore.bytes(base64: text).map { .bytes($0) }
        default: return nil
        }
    }
}

// MARK: - Keys

extension KeyWriter {
    /// Appends a value so that keys sort as the values of the field do; false if a field of that kind cannot hold it.
    ///
    /// Numbers of fields that hold integers and fractions alike (`any`) are the nearest fraction, then what is missing
    /// to the integer, so that the order stays exact.
    @inline(__always)
    mutating func append(_ value: Scalar, _ kind: FieldKind, descending: Bool) -> Bool {
        switch value {
        case .null: appendNull(descending: descending)
        case .bool(let value) where kind == .any || kind == .bool: append(value, descending: descending)
        case .string(let text) where kind == .any || kind == .string: append(utf8: text, descending: descending)
        case .bytes(let bytes) where kind == .any || kind == .bytes: append(bytes: bytes, descending: descending)
        case .date(let value) where kind == .any || kind == .date: append(date: value, descending: descending)
        case .id(let value) where kind == .any || kind == .id: append(uuid: value, descending: descending)
        case .integer(let value) where kind == .integer: append(value, descending: descending)
        case .integer, .unsigned, .double: return append(number: value, kind, descending: descending)
        default: return false
        }
        return true
    }

    private mutating func append(number: Scalar, _ kind: FieldKind, descending: Bool) -> Bool {
        switch (number, kind) {
        case (.unsigned(let value), .integer): append(value, descending: descending)
        case (.double(let value), .integer):
            if let whole = Int64(exactly: value) {
                append(whole, descending: descending)
            } else if let whole = UInt64(exactly: value) {
                append(whole, descending: descending)
            } else {
                return false
            }
        // A neighbour's key would make two numbers one.
        case (.integer(let value), .double):
            guard let exact = Double(exactly: value) else { return false }
            append(exact, descending: descending)
        case (.unsigned(let value), .double):
            guard let exact = Double(exactly: value) else { return false }
            append(exact, descending: descending)
        case (.double(let value), .double): append(Self.canonical(value), descending: descending)
        case (.integer(let value), .any): append(pairOf: Int128(value), Double(value), descending)
        case (.unsigned(let value), .any): append(pairOf: Int128(value), Double(value), descending)
        case (.double(let value), .any):
            append(Self.canonical(value), descending: descending)
            append(Int64(0), descending: descending)
        default: return false
        }
        return true
    }

    /// Both zeros are one value, and so is whatever is no number.
    private static func canonical(_ value: Double) -> Double { value == 0 ? 0 : value.isNaN ? .nan : value }

    private mutating func append(pairOf integer: Int128, _ nearest: Double, _ descending: Bool) {
        append(nearest, descending: descending)
        append(Int64(integer - Int128(nearest)), descending: descending)
    }

    /// The bytes between which all keys lie whose element is a number, a string, …, as `value` is.
    static func bounds(ofKindOf value: Scalar, _ kind: FieldKind) -> (lower: [UInt8], upper: [UInt8])? {
        func whole(_ tag: (inout KeyWriter) -> Void) -> (lower: [UInt8], upper: [UInt8]) {
            var writer = KeyWriter()
            tag(&writer)
            let first = writer.bytes[0]
            return ([first], [first + 1])
        }
        switch value {
        case .integer, .unsigned, .double:
            if kind == .integer {
                var low = KeyWriter()
                low.append(Int64.min)
                var high = KeyWriter()
                high.append(UInt64.max)
                return ([low.bytes[0]], [high.bytes[0] + 1])
            }
            // Not the NaNs beyond the infinities.
            var low = KeyWriter()
            low.append(-Double.infinity)
            var high = KeyWriter()
            high.append(Double.infinity)
            return (low.bytes, KeyRange.prefix(high.bytes).upper ?? [0xFF])
        case .string: return whole { $0.append("") }
        case .bytes: return whole { $0.append(bytes: UnsafeRawBufferPointer(start: nil, count: 0)) }
        case .date: return whole { $0.append(date: 0) }
        case .id: return whole { $0.append(uuid: 0) }
        case .bool: return ([KeyCoder.encode(false)[0]], [KeyCoder.encode(true)[0] + 1])
        case .null, .composite: return nil
        }
    }

    /// For sorting in memory, where every value has a place: arrays and objects the last.
    mutating func appendSortKey(_ value: Scalar, descending: Bool) {
        if case .composite = value {
            append(encoded: [(KeyCoder.encode([.tuple([])])[0]) ^ (descending ? 0xFF : 0)])
        } else {
            _ = append(value, .any, descending: descending)
        }
    }
}
