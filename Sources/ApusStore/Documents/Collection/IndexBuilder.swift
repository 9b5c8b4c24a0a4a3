// Building indexes over documents that are there already, while writers go on. Writers keep up every index from the
// commit that declared it; the builder adds the entries of older documents, a batch at a time. A batch is a
// serializable transaction that reads its documents and the state, writes their entries and how far it has got: a
// document that changes meanwhile is a conflict, and the batch runs again. After a crash building goes on where the
// state says.

import Apus
import ApusIO

extension DocumentCollection {
    static let batchCount = 200

    /// Has the database build what is missing, on a thread of its own.
    func buildIndexesInBackground() {
        guard indexes.contains(where: { $0.status.isBuilding }), beginBuilding() else { return }
        buildNextBatch(Self.batchCount)
    }

    private func buildNextBatch(_ count: Int) {
        store.database.environment.scheduler.run(.request) { [self] in
            do {
                if try buildBatch(count) { return buildNextBatch(Self.batchCount) }
            } catch let error as ApusError where error.kind == .conflict && count > 1 {
                // Others write these documents all the time: fewer at once have a better chance.
                return buildNextBatch(count / 4)
            } catch {
                // What stops it (the database is closed, a disk is full) is met by others too; the next opening goes on.
            }
            endBuilding()
        }
    }

    /// Builds what is missing before it returns, and tries again what could not be built.
    func buildIndexes() throws {
        if indexes.contains(where: { $0.status.failure != nil }) {
            try store.transaction { transaction in
                var state = try CollectionState.read(of: name, keyspace, in: transaction)
                for position in state.indexes.indices where state.indexes[position].status.failure != nil {
                    state.indexes[position].status = .building(through: [])
                }
                transaction.put(CollectionState.key, state.encoded, in: keyspace)
            }
            try adoptLatest()
        }
        while try buildBatch() {}
        if let failed = indexes.first(where: { $0.status.failure != nil }) {
            throw error(
                .constraintViolated,
                "the index \"\(failed.definition.name)\" cannot be built: \(failed.status.failure!)")
        }
    }

    /// One batch of one index. False if all of them are complete.
    func buildBatch(_ count: Int = batchCount) throws -> Bool {
        guard let index = indexes.first(where: { $0.status.isBuilding }) else { return false }
        try store.transaction(durability: .relaxed) { transaction in
            try buildBatch(of: index.number, count, in: transaction)
        }
        try adoptLatest()
        return true
    }

    private func buildBatch(of number: UInt64, _ count: Int, in transaction: StoreTransaction) throws {
        var state = try CollectionState.read(of: name, keyspace, in: transaction)
        guard let position = state.indexes.firstIndex(where: { $0.number == number }),
            case .building(let through) = state.indexes[position].status
        else { return }
        let index = DocumentIndex(
            number: number, definition: state.indexes[position].definition, status: .ready, names: names.current)
        var range = Self.documentRange
        if !through.isEmpty { range.lower = Self.documentPrefix + through + [0] }
        // Copied first: what the walk writes it must not see.
        let batch = try transaction.entries(range, in: keyspace, limit: count)
        do {
            for entry in batch { try addEntries(of: entry, to: index, in: transaction) }
            if let last = batch.last, batch.count == count {
                state.indexes[position].status = .building(
                    through: Array(last.key.dropFirst(Self.documentPrefix.count)))
            } else {
                state.indexes[position].status = .ready
            }
        } catch let violation as StoreError where violation.kind == .constraintViolated {
            state.indexes[position].status = .failed(violation.description)
        }
        transaction.put(CollectionState.key, state.encoded, in: keyspace)
    }

    private func addEntries(of document: Entry, to index: DocumentIndex, in transaction: StoreTransaction) throws {
        try document.key.withUnsafeBytes { documentKey in
            let key = UnsafeRawBufferPointer(rebasing: documentKey[Self.documentPrefix.count...])
            try document.value.withUnsafeBytes { record in
                do {
                    let view = try RecordView(record)
                    let expiry: Expiry = view.header.expiry == 0 ? .never : .at(milliseconds: view.header.expiry)
                    var entries = IndexEntries()
                    try index.collect(into: &entries, of: view, key: key)
                    try entries.visit { entry, entryKey in
                        if entry.isUnique { try checkUnique(index, entryKey, key, in: transaction) }
                        let value = index.value(of: entry, key: key, record: record)
                        transaction.put(entryKey, value, in: keyspace, expiry: expiry)
                    }
                } catch let damage as RecordDamage {
                    throw self.damage(damage, key: key)
                }
            }
        }
    }
}

extension DocumentIndex.Status {
    var isBuilding: Bool {
        if case .building = self { true } else { false }
    }

    var failure: String? {
        if case .failed(let message) = self { message } else { nil }
    }
}
