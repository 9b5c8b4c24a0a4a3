// Verifying a collection: every document is sound and keeps to the schema, every index has exactly the entries that its
// documents have, and every reference leads somewhere.

import Apus

extension DocumentCollection: VerifiableCollection {
    static func open(
        _ name: CollectionName, _ record: CollectionRecord, in store: Store
    ) throws -> DocumentCollection {
        try store.documentCollection(named: name.name)
    }

    func verify(in snapshot: StoreSnapshot, report: inout StoreVerification) throws {
        let cursor = try snapshot.snapshot.makeCursor(.all, in: keyspace)
        try cursor.seekToFirst()
        let indexes = indexes
        let complete = try self.indexes(for: snapshot).filter(\.isReady)
        while cursor.isValid {
            let key = cursor.key
            let value = try cursor.value()
            report.checks += 1
            if key.starts(with: Self.documentPrefix) {
                verifyDocument(key, value, complete, in: snapshot, &report)
            } else if let index = indexes.first(where: { key.starts(with: $0.prefix) }) {
                verifyEntry(key, value, of: index, in: snapshot, &report)
            } else if key != CollectionState.key, key != FieldNames.key {
                report.report(name, key: Self.shown(entry: key), "no index has an entry with this key")
            }
            try cursor.next()
        }
    }

    private func verifyDocument(
        _ documentKey: [UInt8], _ record: [UInt8], _ indexes: [DocumentIndex], in snapshot: StoreSnapshot,
        _ report: inout StoreVerification
    ) {
        let key = Array(documentKey.dropFirst(Self.documentPrefix.count))
        var problems: [String] = []
        do {
            try record.withUnsafeBytes { bytes in
                let view = try RecordView(bytes)
                _ = try JSONValue(fields: view.fields, names: names.current)
                let stored = try view.value(at: keyPath).map { try encodedKey(JSONValue(scalar: $0)) }
                if stored != key { problems.append("the document lies under another key than its own") }
                for check in checks where try !check.condition.holds(view) {
                    problems.append("the check \"\(check.name)\" fails")
                }
                try verifyReferences(of: view, in: snapshot, &problems)
                try key.withUnsafeBytes { key in
                    for index in indexes {
                        try verifyEntries(of: view, bytes, key, index, in: snapshot, &problems)
                    }
                }
            }
        } catch let damage as RecordDamage {
            problems.append(damage.what)
        } catch {
            problems.append("\(error)")
        }
        for problem in problems { report.report(name, key: Self.shown(key), problem) }
    }

    private func verifyReferences(
        of view: RecordView, in snapshot: StoreSnapshot, _ problems: inout [String]
    ) throws {
        for reference in references {
            guard let target = try reference.targetKey(try view.scalar(at: reference.path)) else { continue }
            if try !snapshot.contains(target, in: reference.targetKeyspace) {
                let shown = Self.shown(target.dropFirst(Self.documentPrefix.count))
                problems.append("refers to \(shown) of \(reference.definition.target), which does not exist")
            }
        }
    }

    private func verifyEntries(
        of view: RecordView, _ record: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer, _ index: DocumentIndex,
        in snapshot: StoreSnapshot, _ problems: inout [String]
    ) throws {
        do {
            var entries = IndexEntries()
            try index.collect(into: &entries, of: view, key: key)
            try entries.visit { entry, entryKey in
                let expected = index.value(of: entry, key: key, record: record)
                if try snapshot.get(entryKey, in: keyspace) != expected {
                    problems.append("the index \"\(index.definition.name)\" lacks an entry of the document")
                }
            }
        } catch let violation as StoreError where violation.kind == .constraintViolated {
            problems.append(violation.message)
        }
    }

    private func verifyEntry(
        _ entry: [UInt8], _ value: [UInt8], of index: DocumentIndex, in snapshot: StoreSnapshot,
        _ report: inout StoreVerification
    ) {
        func problem(_ text: String) {
            report.report(name, key: Self.shown(entry: entry), "the index \"\(index.definition.name)\" has \(text)")
        }
        do {
            let isKnown = try entry.withUnsafeBytes { entry in
                try value.withUnsafeBytes { value in
                    let key = try DocumentIndex.parse(entry, value).key
                    return try snapshot.withValue(for: Self.documentPrefix + [UInt8](key), in: keyspace) { record in
                        try record.withUnsafeBytes { record in
                            var entries = IndexEntries()
                            try index.collectExisting(into: &entries, of: try RecordView(record), key: key)
                            return entries.contains(entry, of: 0)
                        }
                    }
                }
            }
            if isKnown != true { problem("an entry that no document has") }
        } catch let damage as RecordDamage {
            problem("an entry that is damaged: \(damage.what)")
        } catch {
            problem("an entry that cannot be checked: \(error)")
        }
    }
}
