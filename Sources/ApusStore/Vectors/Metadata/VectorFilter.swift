// Which vectors a search may return, by their metadata. Applied while the search runs, to encoded metadata in memory:
// only the fields that the filter names are decoded.

/// A condition on a vector's metadata.
///
/// ```swift
/// let recent = VectorFilter.greaterOrEqual("year", 2020) && .contains("labels", "sea")
/// let found = try images.search(query, count: 10, filter: recent)
/// ```
/// A field that is absent, or of another type than the value it is compared with, fulfils no comparison. Integers and
/// floating-point numbers compare by value.
public indirect enum VectorFilter: Sendable {
    case equal(String, MetadataValue)
    case less(String, MetadataValue)
    case lessOrEqual(String, MetadataValue)
    case greater(String, MetadataValue)
    case greaterOrEqual(String, MetadataValue)
    /// The field has one of these values.
    case oneOf(String, [MetadataValue])
    /// The field is several strings, and this is one of them.
    case contains(String, String)
    case exists(String)
    case all([VectorFilter])
    case any([VectorFilter])
    case not(VectorFilter)
    /// Whatever the closure says. It gets all fields decoded, which costs more than the conditions above.
    case matching(@Sendable (VectorMetadata) -> Bool)

    public static func && (a: VectorFilter, b: VectorFilter) -> VectorFilter { .all([a, b]) }
    public static func || (a: VectorFilter, b: VectorFilter) -> VectorFilter { .any([a, b]) }
    public static prefix func ! (filter: VectorFilter) -> VectorFilter { .not(filter) }

    /// Whether metadata fulfils the condition.
    public func matches(_ metadata: VectorMetadata) -> Bool {
        metadata.encoded.withUnsafeBytes { matches($0) }
    }

    /// The same for encoded metadata. Damaged metadata fulfils nothing that needs the damaged part.
    func matches(_ bytes: UnsafeRawBufferPointer) -> Bool {
        switch self {
        case .equal(let name, let value): Self.compare(bytes, name, value) == .equal
        case .less(let name, let value): Self.compare(bytes, name, value) == .less
        case .greater(let name, let value): Self.compare(bytes, name, value) == .greater
        case .lessOrEqual(let name, let value):
            switch Self.compare(bytes, name, value) {
            case .less, .equal: true
            default: false
            }
        case .greaterOrEqual(let name, let value):
            switch Self.compare(bytes, name, value) {
            case .greater, .equal: true
            default: false
            }
        case .oneOf(let name, let values): values.contains { Self.compare(bytes, name, $0) == .equal }
        case .contains(let name, let text):
            if case .strings(let texts) = Self.value(bytes, name) { texts.contains(text) } else { false }
        case .exists(let name): Self.field(bytes, name) != nil
        case .all(let filters): filters.allSatisfy { $0.matches(bytes) }
        case .any(let filters): filters.contains { $0.matches(bytes) }
        case .not(let filter): !filter.matches(bytes)
        case .matching(let predicate): VectorMetadata(bytes).map(predicate) ?? false
        }
    }

    private enum Order {
        case less, equal, greater, incomparable

        /// For the operands the other way round.
        var reversed: Order { self == .less ? .greater : self == .greater ? .less : self }
    }

    private static func field(_ bytes: UnsafeRawBufferPointer, _ name: String) -> MetadataCursor.Field? {
        var name = name
        return name.withUTF8 { name in
            var cursor = MetadataCursor(bytes)
            while let (found, field) = cursor.next() {
                if found.elementsEqual(name) { return field }
            }
            return nil
        }
    }

    private static func value(_ bytes: UnsafeRawBufferPointer, _ name: String) -> MetadataValue? {
        field(bytes, name).flatMap { MetadataValue($0) }
    }

    private static func compare(_ bytes: UnsafeRawBufferPointer, _ name: String, _ value: MetadataValue) -> Order {
        guard let found = Self.value(bytes, name) else { return .incomparable }
        switch (found, value) {
        case (.integer(let a), .integer(let b)): return order(a, b)
        case (.double(let a), .double(let b)): return order(a, b)
        case (.integer(let a), .double(let b)): return order(a, b)
        case (.double(let a), .integer(let b)): return order(b, a).reversed
        case (.string(let a), .string(let b)): return order(a, b)
        case (.bool(let a), .bool(let b)): return order(a ? 1 : 0, b ? 1 : 0)
        case (.null, .null): return .equal
        case (.strings(let a), .strings(let b)): return a == b ? .equal : .incomparable
        default: return .incomparable
        }
    }

    private static func order<Value: Comparable>(_ a: Value, _ b: Value) -> Order {
        a < b ? .less : a == b ? .equal : a > b ? .greater : .incomparable
    }

    /// By value, also where a double cannot tell neighbouring integers apart.
    private static func order(_ a: Int64, _ b: Double) -> Order {
        if b.isNaN { return .incomparable }
        if b >= 0x1p63 { return .less }
        if b < -0x1p63 { return .greater }
        let whole = Int64(b)
        return a == whole ? order(Double(whole), b) : order(a, whole)
    }
}
