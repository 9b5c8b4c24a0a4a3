// Distinct values, and groups with what is computed over them.

import Apus

/// The documents that agree in the fields grouped by.
public struct DocumentGroup: Sendable, Hashable {
    /// The values of the fields grouped by, in their order.
    public var keys: [JSONValue]
    /// What was computed, in the order asked for.
    public var values: [JSONValue]

    /// The only field's value, where one is grouped by.
    public var key: JSONValue { keys.first ?? .null }
    /// The only value, where one is computed.
    public var value: JSONValue { values.first ?? .null }

    public init(keys: [JSONValue], values: [JSONValue]) {
        self.keys = keys
        self.values = values
    }
}

/// One value that grows with every document of a group.
struct Accumulator {
    private let function: Computation.Function
    private var count: Int64 = 0
    private var integerSum: Int64 = 0
    private var doubleSum = 0.0
    /// All numbers so far are integers, and their sum is one.
    private var isInteger = true
    private var extreme: JSONValue = .null
    private var extremeOrder: [UInt8] = []

    init(_ function: Computation.Function) { self.function = function }

    mutating func add(_ value: Scalar?) {
        switch function {
        case .count: count += 1
        case .sum, .avg: addNumber(value ?? .null)
        case .min: keep(value ?? .null) { $0.lexicographicallyPrecedes($1) }
        case .max: keep(value ?? .null) { $1.lexicographicallyPrecedes($0) }
        }
    }

    private mutating func addNumber(_ value: Scalar) {
        let number: Double
        switch value {
        case .integer(let integer):
            let (sum, overflow) = integerSum.addingReportingOverflow(integer)
            integerSum = sum
            if overflow { isInteger = false }
            number = Double(integer)
        case .unsigned(let integer):
            isInteger = false
            number = Double(integer)
        case .double(let double):
            isInteger = false
            number = double
        default: return
        }
        count += 1
        doubleSum += number
    }

    private mutating func keep(_ value: Scalar, isBetter: ([UInt8], [UInt8]) -> Bool) {
        if case .null = value { return }
        if case .composite = value { return }
        var writer = KeyWriter()
        writer.appendSortKey(value, descending: false)
        guard extremeOrder.isEmpty || isBetter(writer.bytes, extremeOrder) else { return }
        extremeOrder = writer.bytes
        extreme = JSONValue(value)
    }

    var result: JSONValue {
        switch function {
        case .count: .integer(count)
        case .sum: count == 0 ? .null : isInteger ? .integer(integerSum) : .double(doubleSum)
        case .avg: count == 0 ? .null : .double(doubleSum / Double(count))
        case .min, .max: extreme
        }
    }
}

extension JSONValue {
    /// A copy of what a scalar points to; null for arrays and objects.
    init(_ scalar: Scalar) {
        switch scalar {
        case .null, .composite: self = .null
        case .bool(let value): self = .bool(value)
        case .integer(let value): self = .integer(value)
        case .unsigned(let value): self = .unsigned(value)
        case .double(let value): self = .double(value)
        case .string(let text): self = .string(String(decoding: text, as: UTF8.self))
        case .bytes(let bytes): self = .bytes([UInt8](bytes))
        case .date(let milliseconds): self = .date(Timestamp(milliseconds: milliseconds))
        case .id(let value): self = .id(DocumentID(value))
        }
    }
}

extension QueryRun {
    /// The groups, in the order of their keys. Offset and limit count groups.
    func groups(
        by fields: [FieldPath], _ computations: [Computation], in reader: any StoreReader
    ) throws -> [DocumentGroup] {
        let wanted = fields.isEmpty ? [] : specification.order
        if let other = wanted.first(where: { !fields.contains($0.path) }) {
            throw collection.error(
                .invalidQuery,
                "groups and distinct values are ordered by the fields that make them, not by \(other.path)")
        }
        let paths = fields.map { names.resolve($0) }
        // What orders the groups comes first; all fields together tell them apart.
        let order =
            wanted.map { (names.resolve($0.path), $0.order == .descending) }
            + fields.filter { field in !wanted.contains { $0.path == field } }.map { (names.resolve($0), false) }
        let aggregatePaths = computations.map { $0.path.map { names.resolve($0) } }
        let fresh = computations.map { Accumulator($0.function) }
        var groups: [[UInt8]: (keys: [JSONValue], accumulators: [Accumulator])] = [:]
        try forEachMatch(in: reader) { match in
            var writer = KeyWriter()
            for (path, isDescending) in order {
                writer.appendSortKey(try match.view.scalar(at: path), descending: isDescending)
            }
            if groups[writer.bytes] == nil {
                let keys = try paths.map { JSONValue(try match.view.scalar(at: $0)) }
                groups[writer.bytes] = (keys, fresh)
            }
            for (index, path) in aggregatePaths.enumerated() {
                let value = try path.map { try match.view.scalar(at: $0) }
                groups[writer.bytes]!.accumulators[index].add(value)
            }
            return .next
        }
        let inOrder = groups.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        return inOrder.dropFirst(specification.offset).prefix(specification.limit ?? .max).map { _, group in
            DocumentGroup(keys: group.keys, values: group.accumulators.map(\.result))
        }
    }
}
