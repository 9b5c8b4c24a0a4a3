// Encoded batches, as they stand in the log.

@testable import Apus

extension FuzzTarget {
    static let batch = FuzzTarget(
        name: "batch",
        summary: "encoded batches: the entries, encoded again, are the same entries",
        maximumByteCount: 1024,
        run: { bytes in
            guard let entries = decode(bytes) else { return }
            let encoded = batchBytes(entries.map { ($0.kind, $0.keyspace, $0.key, $0.payload) })
            let again = encoded.withUnsafeBytes { decode($0) }
            expect(again == entries, "a batch is decoded as it was encoded")
        },
        seeds: {
            [
                "empty": batchBytes([]),
                "one": batchBytes([(.value, 1, [0x61], [0x62])]),
                "kinds": batchBytes([
                    (.value, 1, [0x61], [0x62]), (.deletion, 1, [0x61], []), (.rangeDeletion, 300, [0x61], [0x63]),
                    (.mergeOperand, 1, [0x61], [UInt8](repeating: 1, count: 20)),
                    (.separatedValue, 1, [0x61], [UInt8](repeating: 2, count: 24)),
                    (.expiringValue, 1, [0x61], [UInt8](repeating: 3, count: 8)),
                    (.expiringSeparatedValue, 1, [0x61], [UInt8](repeating: 4, count: 32)),
                ]),
            ]
        }
    )
}

private struct Entry: Equatable {
    var kind: EntryKind
    var keyspace: UInt32
    var key: [UInt8]
    var payload: [UInt8]
}

private func decode(_ bytes: UnsafeRawBufferPointer) -> [Entry]? {
    do throws(DecodingFailure) {
        var cursor = try BatchCursor(bytes)
        var entries: [Entry] = []
        while let entry = try cursor.next() {
            entries.append(
                Entry(
                    kind: entry.kind,
                    keyspace: entry.keyspace,
                    key: [UInt8](entry.key),
                    payload: [UInt8](entry.payload)
                )
            )
        }
        expect(entries.count == cursor.count, "a batch has as many entries as it says")
        return entries
    } catch {
        return nil
    }
}
