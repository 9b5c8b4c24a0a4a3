// The entries of an index: which keys a document has in it, and what stands behind them.
//
//   key:    (index number, components…, primary key), or without the primary key if a unique index has no null
//   value:  where the primary key begins in the key: varint; or 0 │ the primary key's length: varint │ the primary key
//           in a covering index then the record                                                — FORMAT.md §8.4
//
// A field that is an array has one entry for each of its different elements.

import Apus

/// An index of an open collection.
struct DocumentIndex: Sendable {
    enum Status: Sendable, Hashable {
        case ready
        /// Documents up to this key have their entries; those written since have them too.
        case building(through: [UInt8])
        /// Why it cannot be built; queries do not use it.
        case failed(String)
    }

    let number: UInt64
    let definition: IndexDefinition
    var status: Status
    /// What its keys begin with.
    let prefix: [UInt8]
    let paths: [ResolvedPath]
    let condition: CompiledCondition
    private let isPartial: Bool
    private let eachIndex: Int?

    init(number: UInt64, definition: IndexDefinition, status: Status, names: FieldNameTable) {
        self.number = number
        self.definition = definition
        self.status = status
        prefix = KeyCoder.encode(KeyElement(number))
        paths = definition.components.map { names.resolve($0.path) }
        condition = CompiledCondition(definition.condition, names)
        isPartial = definition.condition != .always
        eachIndex = definition.components.firstIndex(where: \.isEach)
    }

    var isReady: Bool { status == .ready }

    /// Calls `body` with the key of each entry of a document; `isUnique` where the primary key is not part of it.
    ///
    /// - Parameter key: the primary key, encoded.
    func forEachEntry(
        of record: RecordView, key: UnsafeRawBufferPointer,
        _ body: (_ entry: UnsafeRawBufferPointer, _ keyOffset: Int, _ isUnique: Bool) throws -> Void
    ) throws {
        if isPartial, try !condition.holds(record) { return }
        var writer = KeyWriter()
        writer.append(encoded: prefix)
        if let eachIndex {
            guard let array = try record.value(at: paths[eachIndex]), array.tag == RecordTag.array else { return }
            var seen: Set<[UInt8]> = []
            var cursor = RecordCursor(array.content)
            while !cursor.isAtEnd {
                let element = try cursor.value()
                writer.truncate(to: prefix.count)
                let isUnique = try append(record, each: element, to: &writer)
                if seen.insert(writer.bytes).inserted { try finish(&writer, key, isUnique, body) }
            }
        } else {
            let isUnique = try append(record, each: nil, to: &writer)
            try finish(&writer, key, isUnique, body)
        }
    }

    /// The same for a document that is stored. What the index cannot hold (it was declared after the document was
    /// written) has no entry.
    func forEachExistingEntry(
        of record: RecordView, key: UnsafeRawBufferPointer,
        _ body: (_ entry: UnsafeRawBufferPointer, _ keyOffset: Int, _ isUnique: Bool) throws -> Void
    ) throws {
        do {
            try forEachEntry(of: record, key: key, body)
        } catch let violation as StoreError where violation.kind == .constraintViolated {
            return
        }
    }

    /// Appends the components; true if the entry has to be the only one of its kind.
    private func append(_ record: RecordView, each element: RawValue?, to writer: inout KeyWriter) throws -> Bool {
        var isUnique = definition.isUnique
        for (index, component) in definition.components.enumerated() {
            let value: Scalar
            if index == eachIndex, let element {
                value = Scalar(element)
            } else {
                value = try record.scalar(at: paths[index])
            }
            if case .null = value { isUnique = false }
            guard writer.append(value, component.kind, descending: component.isDescending) else {
                throw StoreError(
                    .constraintViolated, "the index \"\(definition.name)\" cannot hold the value, because it is not of "
                        + "the kind \(component.kind.rawValue)", field: component.path.description)
            }
        }
        return isUnique
    }

    private func finish(
        _ writer: inout KeyWriter, _ key: UnsafeRawBufferPointer, _ isUnique: Bool,
        _ body: (_ entry: UnsafeRawBufferPointer, _ keyOffset: Int, _ isUnique: Bool) throws -> Void
    ) throws {
        let offset = writer.byteCount
        if !isUnique { writer.append(encoded: key) }
        guard writer.byteCount <= Self.longestKey else {
            throw StoreError(
                .constraintViolated, "the values are too long for the index \"\(definition.name)\": its entry would "
                    + "have a key of \(writer.byteCount) bytes", field: definition.components[0].path.description)
        }
        try writer.bytes.withUnsafeBytes { try body($0, offset, isUnique) }
    }

    /// What the engine takes as a key.
    private static let longestKey = 65_536

    /// The value of an entry.
    func value(keyOffset: Int, isUnique: Bool, key: UnsafeRawBufferPointer, record: UnsafeRawBufferPointer) -> [UInt8] {
        var value: [UInt8] = []
        if isUnique {
            value.reserveCapacity(key.count + 4)
            value.append(0)
            value.appendVarint(UInt64(key.count))
            value.append(contentsOf: key)
        } else {
            value.appendVarint(UInt64(keyOffset))
        }
        if definition.isCovering { value.append(contentsOf: record) }
        return value
    }

    /// An entry taken apart: the primary key and, in a covering index, the record.
    static func parse(
        _ entry: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) throws(RecordDamage) -> (key: UnsafeRawBufferPointer, record: UnsafeRawBufferPointer) {
        var cursor = RecordCursor(value)
        let offset = try cursor.varint()
        if offset == 0 { return (try cursor.take(try cursor.varint()), cursor.rest) }
        guard offset < UInt64(entry.count) else { throw RecordDamage("an index entry has no primary key") }
        return (UnsafeRawBufferPointer(rebasing: entry[Int(offset)...]), cursor.rest)
    }
}
