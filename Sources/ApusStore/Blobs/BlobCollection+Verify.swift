// Verifying a collection of blobs: every content against its address, and every relation between records, references,
// lists, uses, chunks and counters, recomputed from the other side.

import Apus

extension BlobCollection: VerifiableCollection {
    static func open(_ name: CollectionName, _ record: CollectionRecord, in store: Store) throws -> Self {
        let seed = try seed(of: name, record)
        return try Self(name, seed: seed, gracePeriod: .seconds(3600), in: store)
    }

    func verify(in snapshot: StoreSnapshot, report: inout StoreVerification) throws {
        var check = BlobCheck(collection: self, snapshot: snapshot)
        try check.run(&report)
    }
}

/// One verification of one collection. Memory grows with the number of chunks, not with their size.
private struct BlobCheck {
    let collection: BlobCollection
    let snapshot: StoreSnapshot
    /// What the lists say of the chunks.
    private var uses: [ChunkAddress: (count: Int64, entry: ChunkEntry)] = [:]
    private var lists: Set<UInt64> = []
    private var figures = BlobStatistics()

    init(collection: BlobCollection, snapshot: StoreSnapshot) {
        self.collection = collection
        self.snapshot = snapshot
    }

    private var name: CollectionName { collection.collectionName }

    mutating func run(_ report: inout StoreVerification) throws {
        try checkRecords(&report)
        try checkReferences(&report)
        try checkMarks(&report)
        try addUpPages(&report)
        try checkUses(&report)
        try checkContents(&report)
        try checkCounters(&report)
        try checkTags(&report)
    }

    /// Nothing in the index is of a kind that the checks before do not know.
    private func checkTags(_ report: inout StoreVerification) throws {
        let unknown: [KeyRange] = [.upTo([BlobIndexTag.record]), .from([BlobIndexTag.counter + 1])]
        for range in unknown {
            try snapshot.scan(range, in: collection.index) { key, _ in
                report.report(name, "a key of \(key.byteCount) bytes in the index, with an unknown tag")
                return .next
            }
        }
    }

    // MARK: The index

    private mutating func checkRecords(_ report: inout StoreVerification) throws {
        try forEach(BlobIndexTag.record, keyByteCount: 33, &report) { check, key, value, report in
            let id = BlobID(key.dropFirst())!
            guard let record = BlobRecord(value) else {
                return report.report(check.name, key: id.description, "its record is damaged")
            }
            check.figures.blobs += 1
            check.figures.contentBytes &+= Int(record.byteCount)
            if case .chunked(let list) = record.layout, !check.lists.insert(list).inserted {
                report.report(check.name, key: id.description, "its list belongs to another blob too")
            }
            do {
                var hash = ContentHash()
                try check.collection.read(id, in: check.snapshot) { piece in
                    piece.withBytes { hash.update($0) }
                    return .next
                }
                if hash.finish() != id {
                    report.report(check.name, key: id.description, "its content has another hash")
                }
            } catch let error as StoreError {
                report.report(check.name, key: id.description, error.message)
            } catch let error as ApusError where error.kind == .corruption {
                report.report(check.name, key: id.description, error.description)
            }
        }
    }

    private mutating func checkReferences(_ report: inout StoreVerification) throws {
        try forEach(BlobIndexTag.references, keyByteCount: 33, &report) { check, key, value, report in
            let id = BlobID(key.dropFirst())!
            guard let count = Self.count(value), count >= 0 else {
                return report.report(check.name, key: id.description, "its number of references is damaged")
            }
            guard count > 0 else { return }
            guard let record = try? check.collection.record(of: id, in: check.snapshot) else {
                return report.report(check.name, key: id.description, "is referred to, but does not exist")
            }
            check.figures.referencedBytes &+= Int(record.byteCount) &* Int(count)
        }
    }

    private mutating func checkMarks(_ report: inout StoreVerification) throws {
        try forEach(BlobIndexTag.mark, keyByteCount: 9, &report) { check, key, _, report in
            let list = BlobIndexKey.number(in: key, at: 1)!
            if !check.lists.insert(list).inserted {
                report.report(check.name, key: "list \(list)", "belongs to a blob and is marked as belonging to none")
            }
        }
    }

    private mutating func addUpPages(_ report: inout StoreVerification) throws {
        try forEach(BlobIndexTag.page, keyByteCount: 17, &report) { check, key, value, report in
            let list = BlobIndexKey.number(in: key, at: 1)!
            if !check.lists.contains(list) {
                report.report(check.name, key: "list \(list)", "belongs to no blob and has no mark")
            }
            guard let entries = BlobPage.decode(value) else {
                return report.report(check.name, key: "list \(list)", "a page is damaged")
            }
            for entry in entries {
                let known = check.uses[entry.address]
                if let known, known.entry != entry {
                    report.report(check.name, key: "list \(list)", "lists disagree about chunk \(entry.address)")
                }
                check.uses[entry.address] = ((known?.count ?? 0) + 1, entry)
            }
        }
    }

    private mutating func checkUses(_ report: inout StoreVerification) throws {
        var found = 0
        try forEach(BlobIndexTag.uses, keyByteCount: 17, &report) { check, key, value, report in
            let address = ChunkAddress(UnsafeRawBufferPointer(rebasing: key[1...]))!
            found += 1
            let expected = check.uses[address]?.count ?? 0
            let count = Self.count(value)
            if count != expected {
                let text = count.map { "\($0)" } ?? "a damaged number of"
                report.report(
                    check.name, key: "chunk \(address)", "has \(text) uses, but lists use it \(expected) times")
            }
        }
        if found < uses.count { report.report(name, "\(uses.count - found) chunks have no number of uses") }
    }

    // MARK: Contents

    private mutating func checkContents(_ report: inout StoreVerification) throws {
        var chunks = 0
        // Taken out, because the closure may change neither.
        let (uses, collection, name, snapshot) = (uses, collection, name, snapshot)
        var figures = figures
        try snapshot.scan(in: collection.content) { key, value in
            report.checks += 1
            figures.pieces += 1
            figures.storedBytes += value.byteCount
            key.withBytes { key in
                if let address = ChunkAddress(key) {
                    chunks += 1
                    guard let entry = uses[address]?.entry else {
                        return report.report(name, key: "chunk \(address)", "no list uses it")
                    }
                    figures.pieceBytes += entry.byteCount
                    if entry.storedByteCount != value.byteCount {
                        report.report(name, key: "chunk \(address)", "is not as long as its lists say")
                    }
                } else if let id = BlobID(key) {
                    let record = try? collection.record(of: id, in: snapshot)
                    guard let record, record.layout == .whole else {
                        return report.report(name, key: id.description, "has a content, but no record")
                    }
                    figures.pieceBytes += Int(record.byteCount)
                } else {
                    report.report(name, "a key of \(key.count) bytes among the contents")
                }
            }
            return .next
        }
        self.figures = figures
        if chunks < uses.count { report.report(name, "\(uses.count - chunks) chunks are missing") }
    }

    private func checkCounters(_ report: inout StoreVerification) throws {
        let kept = try collection.statistics(in: snapshot)
        if kept != figures { report.report(name, "its figures are \(kept), but should be \(figures)") }
    }

    // MARK: Helpers

    /// Calls `body` with every entry of the index whose key begins with `tag`.
    private mutating func forEach(
        _ tag: UInt8, keyByteCount: Int, _ report: inout StoreVerification,
        _ body: (inout BlobCheck, UnsafeRawBufferPointer, UnsafeRawBufferPointer, inout StoreVerification) throws ->
            Void
    ) throws {
        var check = self
        let name = name
        try snapshot.scan(.prefix([tag]), in: collection.index) { key, value in
            report.checks += 1
            try key.withBytes { key in
                guard key.count == keyByteCount else {
                    return report.report(name, "a key of \(key.count) bytes in the index, with tag \(tag)")
                }
                try value.withBytes { try body(&check, key, $0, &report) }
            }
            return .next
        }
        self = check
    }

    private static func count(_ value: UnsafeRawBufferPointer) -> Int64? {
        var reader = StoreByteReader(value)
        let count = reader.littleEndian(Int64.self)
        return reader.isAtEnd ? count : nil
    }
}
