// The elements that tuple keys are made of, and the order that their encodings keep (FORMAT.md §7). KeyCoder writes
// and reads the bytes.

/// One element of a tuple key.
///
/// Literals convert: `["invoice", 2024, true, nil]`. Variables go through an initialiser: `KeyElement(count)`.
/// Elements are ordered as their encodings are: by type, and within a type by value; integers of any sign and width
/// are one type. What is `descending` sorts after everything ascending and in reverse.
public indirect enum KeyElement: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// Equal to `integer` where the value fits there, and decoded as `integer` then.
    case unsigned(UInt64)
    /// In IEEE total order: −0 before +0, and NaNs beyond the infinities of their sign.
    case double(Double)
    /// Milliseconds since 1970-01-01 UTC; negative before it.
    case date(milliseconds: Int64)
    /// Sixteen bytes as one number, the first byte most significant.
    case uuid(UInt128)
    case bytes([UInt8])
    /// In the order of its UTF-8 bytes, which is the order of its Unicode scalars.
    case string(String)
    case tuple([KeyElement])
    /// The reverse of an element's order. Twice reversed is not reversed.
    case descending(KeyElement)
}

extension KeyElement {
    /// An integer of any width up to 64 bits.
    public init(_ value: some FixedWidthInteger) {
        precondition(
            value >= Int64.min && value <= UInt64.max,
            "an integer of a key must fit into 64 bits: \(value)"
        )
        self = value > Int64.max ? .unsigned(UInt64(value)) : .integer(Int64(value))
    }

    public init(_ value: Bool) { self = .bool(value) }
    public init(_ value: Double) { self = .double(value) }
    public init(_ value: some StringProtocol) { self = .string(String(value)) }
    public init(_ value: [UInt8]) { self = .bytes(value) }
}

extension KeyElement: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral
{
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(nilLiteral: ()) { self = .null }
    public init(arrayLiteral elements: KeyElement...) { self = .tuple(elements) }
}

// MARK: - Order

extension KeyElement: Comparable, Hashable {
    public static func == (a: KeyElement, b: KeyElement) -> Bool { order(a, b) == 0 }
    public static func < (a: KeyElement, b: KeyElement) -> Bool { order(a, b) < 0 }

    public func hash(into hasher: inout Hasher) {
        // Equal elements have equal encodings, and only they have.
        hasher.combine(KeyCoder.encode([self]))
    }

    /// Negative, zero or positive as tuple `a` sorts before, with or after `b`: by the first elements that differ; a
    /// tuple before those that continue it.
    static func order(_ a: [KeyElement], _ b: [KeyElement]) -> Int {
        for (x, y) in zip(a, b) {
            let order = order(x, y)
            if order != 0 { return order }
        }
        return a.count - b.count
    }

    /// Written apart from the encoding, so that tests can hold the one against the other.
    static func order(_ a: KeyElement, _ b: KeyElement) -> Int {
        switch (a, b) {
        case (.descending(.descending(let x)), let y), (let x, .descending(.descending(let y))): order(x, y)
        case (.descending(let x), .descending(let y)): order(y, x)
        case (.descending, _): 1
        case (_, .descending): -1
        case (.bool(let x), .bool(let y)): (x ? 1 : 0) - (y ? 1 : 0)
        case (.integer(let x), .integer(let y)): compare(x, y)
        case (.unsigned(let x), .unsigned(let y)): compare(x, y)
        case (.integer(let x), .unsigned(let y)): x < 0 ? -1 : compare(UInt64(x), y)
        case (.unsigned(let x), .integer(let y)): y < 0 ? 1 : compare(x, UInt64(y))
        case (.double(let x), .double(let y)): compare(totalOrder(x), totalOrder(y))
        case (.date(let x), .date(let y)): compare(x, y)
        case (.uuid(let x), .uuid(let y)): compare(x, y)
        case (.bytes(let x), .bytes(let y)): lexicographic(x, y)
        case (.string(let x), .string(let y)): lexicographic(x.utf8, y.utf8)
        case (.tuple(let x), .tuple(let y)): order(x, y)
        default: compare(a.typeRank, b.typeRank)
        }
    }

    private var typeRank: Int {
        switch self {
        case .null: 0
        case .bool: 1
        case .integer, .unsigned: 2
        case .double: 3
        case .date: 4
        case .uuid: 5
        case .bytes: 6
        case .string: 7
        case .tuple: 8
        case .descending: 9
        }
    }

    private static func compare<Value: Comparable>(_ a: Value, _ b: Value) -> Int {
        a < b ? -1 : a == b ? 0 : 1
    }

    private static func lexicographic(_ a: some Collection<UInt8>, _ b: some Collection<UInt8>) -> Int {
        a.lexicographicallyPrecedes(b) ? -1 : a.elementsEqual(b) ? 0 : 1
    }

    /// Doubles as integers whose order is IEEE 754's totalOrder.
    private static func totalOrder(_ value: Double) -> Int64 {
        let bits = Int64(bitPattern: value.bitPattern)
        return bits < 0 ? ~bits ^ Int64.min : bits
    }
}

extension KeyElement: CustomStringConvertible {
    public var description: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .unsigned(let value): "\(value)"
        case .double(let value): "\(value)"
        case .date(let milliseconds): "date(\(milliseconds) ms)"
        case .uuid(let value): "uuid(" + hexadecimal(value) + ")"
        case .bytes(let bytes): "bytes(\(bytes.map { hexadecimal($0) }.joined()))"
        case .string(let text): "\"\(text)\""
        case .tuple(let elements): "(" + elements.map(\.description).joined(separator: ", ") + ")"
        case .descending(let element): "descending(\(element))"
        }
    }

    private func hexadecimal(_ value: some FixedWidthInteger) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: value.bitWidth / 4 - digits.utf8.count) + digits
    }
}
