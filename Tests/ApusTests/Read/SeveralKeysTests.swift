// Several keys looked up at once: the same as one after the other, wherever their entries lie.

import Testing

@testable import Apus

@Suite("Several keys")
struct SeveralKeysTests {
    let fixture = EngineFixture()

    /// Keys in tables, in blob files, in memtables, merged, deleted, and some that never were.
    private func fill(_ database: Database) throws -> Keyspace {
        let options = KeyspaceOptions(mergeOperator: .append, valueSeparationThreshold: 4096)
        let keyspace = try database.keyspace("a", options: options)
        for number in 0..<200 { try keyspace.put(Self.key(number), "\(number)") }
        for number in stride(from: 0, to: 200, by: 17) {
            try keyspace.put(Self.key(number), [UInt8](repeating: UInt8(number), count: 5000))
        }
        try database.compact()
        for number in stride(from: 0, to: 200, by: 5) { try keyspace.merge(Self.key(number), "+") }
        try keyspace.deleteRange(from: Self.key(40), to: Self.key(60))
        try database.flush()
        for number in stride(from: 0, to: 200, by: 7) { try keyspace.put(Self.key(number), "new") }
        for number in stride(from: 0, to: 200, by: 11) { try keyspace.delete(Self.key(number)) }
        return keyspace
    }

    private static func key(_ number: Int) -> String { "key \(1000 + number)" }

    @Test("have the values that each has alone", arguments: [0, 1, 15, 16, 17, 300])
    func sameAsAlone(count: Int) throws {
        let database = try fixture.open()
        let keyspace = try fill(database)
        let keys = (0..<count).map { Self.key($0 * 37 % 230) }
        let expected = try keys.map { try keyspace.get($0) }
        #expect(try keyspace.get(keys) == expected)
        let snapshot = try database.snapshot()
        for number in 0..<200 { try keyspace.put(Self.key(number), "later") }
        #expect(try snapshot.get(keys, in: keyspace) == expected)
        var shown: [[UInt8]?] = []
        try snapshot.withValues(for: keys, in: keyspace) { index, value in
            #expect(index == shown.count)
            shown.append(value?.copied())
        }
        #expect(shown == expected)
    }

    @Test("what the closure throws ends the walk and reaches the caller")
    func errors() throws {
        struct Enough: Error {}
        let database = try fixture.open()
        let keyspace = try fill(database)
        var calls = 0
        #expect(throws: Enough.self) {
            try keyspace.withValues(for: (0..<50).map { Self.key($0) }) { _, _ in
                calls += 1
                if calls == 20 { throw Enough() }
            }
        }
        #expect(calls == 20)
    }

    @Test("the closure may read and write")
    func nested() throws {
        let database = try fixture.open()
        let keyspace = try fill(database)
        var values: [[UInt8]?] = []
        try keyspace.withValues(for: (0..<40).map { Self.key($0) }) { index, value in
            try keyspace.put(Self.key(index + 1), "too late to be seen")
            values.append(value?.copied())
            if index == 20 { try database.compact() }
        }
        #expect(!values.contains(Array("too late to be seen".utf8)))
    }
}
