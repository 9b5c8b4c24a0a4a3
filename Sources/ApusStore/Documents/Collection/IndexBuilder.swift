// Building indexes over documents that are there already, while writers go on. Writers keep up every index from the
// commit that declared it; the builder adds the entries of older documents, a batch at a time. A batch is a
// serializable transaction that reads its documents and the state, writes their entries and how far it has got: a
// document that changes meanwhile is a conflict, and the batch runs again. After a crash building goes on where the
// state says.

import Apus
import ApusIO

extension DocumentCollection {
    private static let batchCount = 200

    /// Has the database build what is missing, on a thread of its own.
    func buildIndexesInBackground() {
        guard indexes.contains(where: { $0.status.isBuilding }), beginBuilding() else { return }
        buildNextBatch()
    }

    private func buildNextBatch() {
        store.database.environment.scheduler.run(.request) { [self] in
            // What stops it (the database is closed, a disk is full) is met by others too; the next opening goes on.
            let isMore = (try? buildBatch()) ?? false
            if isMore { buildNextBatch() } else { endBuilding() }
        }
    }

    /// Builds what is missing before it returns.
    func buildIndexes() throws {
        while try buildBatch() {}
        if let failed = indexes.first(where: { $0.status.failure != nil }) {
            throw error(
                .constraintViolated, "the index \"\(failed.definition.name)\" cannot be built: \(failed.status.failure!)")
        }
    }

    /// One batch of one index. False if all of them are complete.
    func buildBatch() throws -> Bool {
        guard let index = indexes.first(where: { $0.status.isBuilding }) else { return false }
        let state = try store.transaction(durability: .relaxed) { transaction in
            try buildBatch(of: index.number, in: transaction)
        }
        adopt(state)
        return true
    }

    private func buildBatch(of number: UInt64, in transaction: StoreTransaction) throws -> CollectionState {
        var state = try CollectionState.read(of: name, keyspace, in: transaction)
        guard let position = state.indexes.firstIndex(where: { $0.number == number }),
            case .building(let through) = state.indexes[position].status
        else { return state }
        let index = DocumentIndex(
            number: number, definition: state.indexes[position].definition, status: .ready, names: names.current)
        var range = Self.documentRange
        if !through.isEmpty { range.lower = Self.documentPrefix + through + [0] }
        // Copied first: what the walk writes it must not see.
        let batch = try transaction.entries(range, in: keyspace, limit: Self.batchCount)
        do {
            for entry in batch { try addEntries(of: entry, to: index, in: transaction) }
            if let last = batch.last, batch.count == Self.batchCount {
                state.indexes[position].status = .building(
                    through: Array(last.key.dropFirst(Self.documentPrefix.count)))
            } else {
                state.indexes[position].status = .ready
            }
        } catch let violation as StoreError where violation.kind == .constraintViolated {
            state.indexes[position].status = .failed(violation.description)
        }
        transaction.put(CollectionState.key, state.encoded, in: keyspace)
        return state
    }

    private func addEntries(of document: Entry, to index: DocumentIndex, in transaction: StoreTransaction) throws {
        try document.key.withUnsafeBytes { documentKey in
            let key = UnsafeRawBufferPointer(rebasing: documentKey[Self.documentPrefix.count...])
            try document.value.withUnsafeBytes { record in
                do {
                    let view = try RecordView(record)
                    let expiry: Expiry = view.header.expiry == 0 ? .never : .at(milliseconds: view.header.expiry)
                    try index.forEachEntry(of: view, key: key) { entry, keyOffset, isUnique in
                        if isUnique { try checkUnique(index, entry, key, in: transaction) }
                        let value = index.value(keyOffset: keyOffset, isUnique: isUnique, key: key, record: record)
                        transaction.put(entry, value, in: keyspace, expiry: expiry)
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
