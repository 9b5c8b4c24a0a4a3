// The keys of the index entries of a document, collected before the first of them is written: whatever is wrong with one
// is found while nothing has changed yet. All of them lie in one buffer that is used again for the next document.

import Apus
import ApusIO

struct IndexEntries {
    /// One entry: where its key lies in the buffer.
    struct Entry {
        var start: Int
        var end: Int
        /// Where the primary key begins in the key; 0 if it is not part of it, because the entry is the only one of its
        /// kind.
        var keyOffset: Int
        /// Which of the collection's indexes it belongs to.
        var index: Int

        var isUnique: Bool { keyOffset == 0 }
    }

    fileprivate(set) var keys = KeyWriter(reservingCapacity: 512)
    fileprivate(set) var list: [Entry] = []

    mutating func removeAll() {
        keys.truncate(to: 0)
        list.removeAll(keepingCapacity: true)
    }

    /// Calls `body` with every key.
    func visit(_ body: (_ entry: Entry, _ key: UnsafeRawBufferPointer) throws -> Void) rethrows {
        try keys.bytes.withUnsafeBytes { bytes in
            for entry in list { try body(entry, UnsafeRawBufferPointer(rebasing: bytes[entry.start..<entry.end])) }
        }
    }

    /// Forgets the entries, from the entry number `first` on, for which `body` is false.
    mutating func filter(
        from first: Int = 0, _ body: (_ entry: Entry, _ key: UnsafeRawBufferPointer) throws -> Bool
    ) rethrows {
        var kept = Array(list[..<first])
        try keys.bytes.withUnsafeBytes { bytes in
            for entry in list[first...]
            where try body(entry, UnsafeRawBufferPointer(rebasing: bytes[entry.start..<entry.end])) {
                kept.append(entry)
            }
        }
        list = kept
    }

    /// Whether the same index has an entry with that key.
    func contains(_ key: UnsafeRawBufferPointer, of index: Int) -> Bool {
        keys.bytes.withUnsafeBytes { bytes in
            list.contains { entry in
                entry.index == index
                    && equalBytes(UnsafeRawBufferPointer(rebasing: bytes[entry.start..<entry.end]), key)
            }
        }
    }
}

extension DocumentIndex {
    /// What the engine takes as a key.
    private static let longestKey = 65_536

    /// Adds the entries that a document has in this index.
    ///
    /// - Parameters:
    ///   - key: the primary key, encoded.
    ///   - position: of the index among those of the collection.
    /// - Throws: `constraintViolated` if the index cannot hold a value of the document.
    func collect(
        into entries: inout IndexEntries, of record: RecordView, key: UnsafeRawBufferPointer, position: Int = 0
    ) throws {
        if isPartial, try !condition.holds(record) { return }
        guard let eachIndex else { return try append(to: &entries, record, each: nil, key, position) }
        guard let array = try record.value(at: paths[eachIndex]), array.tag == RecordTag.array else { return }
        // A document has one entry for equal elements.
        var seen: Set<[UInt8]> = []
        var cursor = RecordCursor(array.content)
        while !cursor.isAtEnd {
            let element = try cursor.value()
            try append(to: &entries, record, each: element, key, position)
            let added = entries.list[entries.list.count - 1]
            if !seen.insert(Array(entries.keys.bytes[added.start..<added.end])).inserted {
                entries.list.removeLast()
                entries.keys.truncate(to: added.start)
            }
        }
    }

    /// Whether a document has the same entries in this index as the one that it replaces, so plainly that they need not be
    /// made: the index is complete, has an entry for every document, and all of its fields are written alike, as values that
    /// it can hold.
    func isPlainlyUnchanged(
        from old: RecordView, to new: RecordView, key: UnsafeRawBufferPointer
    ) throws(RecordDamage) -> Bool {
        guard isReady, !isPartial, eachIndex == nil, !definition.isCovering else { return false }
        // The longest that the entry's key may be: every byte of a value may take two.
        var longest = key.count &+ 16
        for (position, path) in paths.enumerated() {
            let component = definition.components[position]
            switch (try old.value(at: path), try new.value(at: path)) {
            case (nil, nil): continue
            case (let old?, let new?):
                guard old.isSame(as: new), component.kind.plainlyHolds(new) else { return false }
                longest &+= 2 &* new.content.count &+ 16
            default: return false
            }
        }
        return longest <= Self.longestKey
    }

    /// The same for a document that is stored. What the index cannot hold (it was declared after the document was
    /// written) has no entry.
    func collectExisting(
        into entries: inout IndexEntries, of record: RecordView, key: UnsafeRawBufferPointer, position: Int = 0
    ) throws {
        let count = entries.list.count
        let byteCount = entries.keys.byteCount
        do {
            try collect(into: &entries, of: record, key: key, position: position)
        } catch let violation as StoreError where violation.kind == .constraintViolated {
            entries.list.removeSubrange(count...)
            entries.keys.truncate(to: byteCount)
        }
    }

    private func append(
        to entries: inout IndexEntries, _ record: RecordView, each element: RawValue?, _ key: UnsafeRawBufferPointer,
        _ position: Int
    ) throws {
        let start = entries.keys.byteCount
        entries.keys.append(encoded: prefix)
        var isUnique = definition.isUnique
        for index in definition.components.indices {
            let value: Scalar
            if index == eachIndex, let element {
                value = Scalar(element)
            } else {
                value = try record.scalar(at: paths[index])
            }
            if case .null = value { isUnique = false }
            let component = definition.components[index]
            guard entries.keys.append(value, component.kind, descending: component.isDescending) else {
                throw StoreError(
                    .constraintViolated,
                    "the index \"\(definition.name)\" cannot hold the value, because it is not of "
                        + "the kind \(component.kind.rawValue)", field: component.path.description)
            }
        }
        let offset = entries.keys.byteCount - start
        if !isUnique { entries.keys.append(encoded: key) }
        let end = entries.keys.byteCount
        guard end - start <= Self.longestKey else {
            throw StoreError(
                .constraintViolated,
                "the values are too long for the index \"\(definition.name)\": its entry would "
                    + "have a key of \(end - start) bytes", field: definition.components[0].path.description)
        }
        entries.list.append(
            IndexEntries.Entry(start: start, end: end, keyOffset: isUnique ? 0 : offset, index: position))
    }

    func value(of entry: IndexEntries.Entry, key: UnsafeRawBufferPointer, record: UnsafeRawBufferPointer) -> [UInt8] {
        var value: [UInt8] = []
        append(valueOf: entry, key: key, record: record, to: &value)
        return value
    }

    /// The value of an entry.
    func append(
        valueOf entry: IndexEntries.Entry, key: UnsafeRawBufferPointer, record: UnsafeRawBufferPointer,
        to value: inout [UInt8]
    ) {
        if entry.isUnique {
            value.append(0)
            value.appendVarint(UInt64(key.count))
            value.append(contentsOf: key)
        } else {
            value.appendVarint(UInt64(entry.keyOffset))
        }
        if definition.isCovering { value.append(contentsOf: record) }
    }
}

extension FieldKind {
    /// Whether a field of this kind holds the value, without a look at the value itself.
    fileprivate func plainlyHolds(_ value: RawValue) -> Bool {
        switch value.tag {
        case RecordTag.null: true
        case RecordTag.true, RecordTag.false: self == .bool || self == .any
        case RecordTag.id: self == .id || self == .any
        case RecordTag.date: self == .date || self == .any
        case RecordTag.array, RecordTag.object: false
        default: value.isString ? self == .string || self == .any : value.int64 != nil && self == .integer
        }
    }
}
