// The entries of an index: which keys a document has in it, and what stands behind them.
//
//   key:    (index number, components…, primary key), or without the primary key if a unique index has no null
//   value:  where the primary key begins in the key: varint; or 0 │ the primary key's length: varint │ the primary key
//           in a covering index then the record                                                — FORMAT.md §8.4
//
// A field that is an array has one entry for each of its different elements.

import Apus

/// An index of an open collection.
final class DocumentIndex: Sendable {
    enum Status: Sendable, Hashable {
        case ready
        /// Documents up to this key have their entries; those written since have them too.
        case building(through: [UInt8])
        /// Why it cannot be built; queries do not use it.
        case failed(String)
    }

    let number: UInt64
    let definition: IndexDefinition
    let status: Status
    let isReady: Bool
    /// The field of which no two documents have the same value, if the index says that of one field and all documents.
    let uniqueField: FieldPath?
    /// What its keys begin with.
    let prefix: [UInt8]
    let paths: [ResolvedPath]
    let condition: CompiledCondition
    let isPartial: Bool
    /// Which of the components is the array.
    let eachIndex: Int?

    init(number: UInt64, definition: IndexDefinition, status: Status, names: FieldNameTable) {
        self.number = number
        self.definition = definition
        self.status = status
        isReady = status == .ready
        let isOfOneField = definition.isUnique && definition.components.count == 1 && definition.condition == .always
        uniqueField = isOfOneField ? definition.components[0].path : nil
        prefix = KeyCoder.encode(KeyElement(number))
        paths = definition.components.map { names.resolve($0.path) }
        condition = CompiledCondition(definition.condition, names)
        isPartial = definition.condition != .always
        eachIndex = definition.components.firstIndex(where: \.isEach)
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
