// Cursors over tables that go from one short-lived cursor to the next: nothing of the one may show in the other.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite struct TableSourcesTests {
    private let fixture = EngineFixture(seed: 11, writeBufferByteCount: 1 << 20)

    private func filled() throws -> (Database, Keyspace) {
        fixture.options.tuning!.blockByteCount = 128
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        for number in 0..<200 { try keyspace.put("key \(1_000 + number)", "old \(number)") }
        try database.compact()
        for number in 0..<50 { try keyspace.put("key \(1_000 + number)", "new \(number)") }
        try database.flush()
        return (database, keyspace)
    }

    private func version(_ keyspace: Keyspace) -> Version { keyspace.tree.retainedView().version }

    @Test("the sources come back when their cursor goes, and serve the next one")
    func reuse() throws {
        let (database, keyspace) = try filled()
        do {
            let cursor = try keyspace.makeCursor()
            try cursor.seek("key 1100")
            #expect(try cursor.value() == Array("old 100".utf8))
            #expect(version(keyspace).spareSources.take() == nil)
        }
        let spare = try #require(version(keyspace).spareSources.take())
        #expect(spare.cursors.count == 2)
        #expect(spare.cursors.allSatisfy { !$0.isValid })
        version(keyspace).spareSources.giveBack(spare)
        // One that stands nowhere until it is positioned, and then where it should.
        let next = try keyspace.makeCursor()
        #expect(!next.isValid)
        try next.next()
        #expect(try next.value() == Array("new 0".utf8))
        try next.seekToLast()
        #expect(try next.value() == Array("old 199".utf8))
        try database.close()
    }

    @Test("two cursors at once have sources of their own")
    func several() throws {
        let (database, keyspace) = try filled()
        let first = try keyspace.makeCursor()
        try first.seek("key 1010")
        let second = try keyspace.makeCursor()
        try second.seek("key 1150")
        for number in 0..<20 {
            #expect(first.key == Array("key \(1_010 + number)".utf8))
            #expect(second.key == Array("key \(1_150 + number)".utf8))
            try first.next()
            try second.next()
        }
        try database.close()
    }

    @Test("later writes, flushes and compactions reach cursors made after them, and no others")
    func changes() throws {
        let (database, keyspace) = try filled()
        _ = try keyspace.makeCursor()
        let snapshot = try database.snapshot()
        try keyspace.put("key 1000", "newest")
        func value(_ cursor: Cursor) throws -> [UInt8] {
            try cursor.seek("key 1000")
            return try cursor.value()
        }
        #expect(try value(keyspace.makeCursor()) == Array("newest".utf8))
        #expect(try value(snapshot.makeCursor(in: keyspace)) == Array("new 0".utf8))
        try database.flush()
        #expect(try value(keyspace.makeCursor()) == Array("newest".utf8))
        #expect(try value(snapshot.makeCursor(in: keyspace)) == Array("new 0".utf8))
        try database.compact()
        #expect(try value(keyspace.makeCursor()) == Array("newest".utf8))
        #expect(try value(snapshot.makeCursor(in: keyspace)) == Array("new 0".utf8))
        // Range deletions of tables belong to the readers: nothing is lent beside them.
        try keyspace.deleteRange(from: "key 1000", to: "key 1100")
        try database.flush()
        #expect(version(keyspace).hasRangeDeletions)
        let cursor = try keyspace.makeCursor()
        try cursor.seekToFirst()
        #expect(cursor.key == Array("key 1100".utf8))
        snapshot.release()
        try database.close()
    }
}
