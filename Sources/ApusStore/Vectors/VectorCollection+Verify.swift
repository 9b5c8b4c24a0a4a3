// Verifying a collection of vectors: keys, nodes and originals belong together, codes are those of their originals.

import Apus

extension VectorCollection: VerifiableCollection {
    static func open(_ name: CollectionName, _ record: CollectionRecord, in store: Store) throws -> VectorCollection {
        try check(record, of: name)
        guard let shape = VectorShape(definition: record.definition) else {
            throw StoreError(.corruption, "the definition is damaged", collection: name.description)
        }
        return try VectorCollection(name, shape, VectorOptions(), in: store, isIndexed: false)
    }

    func verify(in snapshot: StoreSnapshot, report: inout StoreVerification) throws {
        try verifyNodes(in: snapshot, &report)
        try verifyEntries(in: snapshot, &report)
        try verifyOriginals(in: snapshot, &report)
    }

    private func verifyNodes(in snapshot: StoreSnapshot, _ report: inout StoreVerification) throws {
        try snapshot.scan(VectorKey.nodes, in: nodes) { key, value in
            report.checks += 1
            guard let node = VectorKey.number(key) else {
                report.report(collectionName, "a node's key is damaged")
                return .next
            }
            guard let record = value.withUnsafeBytes({ VectorRecord($0, dimension: dimension) }) else {
                report.report(collectionName, key: "node \(node)", "the record is damaged")
                return .next
            }
            let name = VectorCollection.readable(record.key)
            if record.metadata.withUnsafeBytes({ VectorMetadata($0) }) == nil {
                report.report(collectionName, key: name, "the metadata is damaged")
            }
            let entry = try snapshot.get(VectorKey.entry(record.key), in: nodes)
            if (try? self.node(entry, key: record.key)) != node {
                report.report(collectionName, key: name, "node \(node) is not the one that its key leads to")
            }
            if let originals {
                let original = try snapshot.get(VectorKey.original(node), in: originals)
                verify(record, against: original, name, &report)
            }
            return .next
        }
    }

    private func verify(
        _ record: VectorRecord, against original: [UInt8]?, _ name: String, _ report: inout StoreVerification
    ) {
        guard let vector = shape.decode(record, original: original) else {
            report.report(collectionName, key: name, "the original is missing or damaged")
            return
        }
        let encoded = shape.encode(vector)
        // Other instructions round norms differently, and a code at the edge of two levels may fall to either side.
        let isSame = zip(encoded.code.codes, record.codes).allSatisfy { abs(Int($0) - Int($1)) <= 1 }
        if !isSame || abs(encoded.norm - record.norm) > 1e-4 * record.norm {
            report.report(collectionName, key: name, "the codes are not those of the original")
        }
    }

    private func verifyEntries(in snapshot: StoreSnapshot, _ report: inout StoreVerification) throws {
        try snapshot.scan(VectorKey.entries, in: nodes) { key, value in
            report.checks += 1
            let key = key.withUnsafeBytes { Array($0.dropFirst()) }
            guard let node = try? node(value.withUnsafeBytes { [UInt8]($0) }, key: key) else {
                report.report(collectionName, key: VectorCollection.readable(key), "the entry is damaged")
                return .next
            }
            if try !snapshot.contains(VectorKey.node(node), in: nodes) {
                report.report(
                    collectionName, key: VectorCollection.readable(key), "leads to node \(node), which does not exist")
            }
            return .next
        }
    }

    private func verifyOriginals(in snapshot: StoreSnapshot, _ report: inout StoreVerification) throws {
        guard let originals else { return }
        try snapshot.scan(in: originals) { key, _ in
            report.checks += 1
            let nodeKey = [VectorKey.nodeTag] + key.withUnsafeBytes { [UInt8]($0) }
            if try !snapshot.contains(nodeKey, in: nodes) {
                report.report(collectionName, "there is an original without a vector")
            }
            return .next
        }
    }
}
