// What a batch holds: its bytes as FORMAT.md has them, the value semantics of its copies, and what it refuses.

import ApusIO
import Testing

@testable import Apus

@Suite struct WriteBatchTests {
    private let fixture = EngineFixture(seed: 1)

    private func bytes(_ batch: WriteBatch) -> [UInt8] { batch.encoded.withBytes { Array($0) } }

    @Test("the bytes are those of FORMAT.md")
    func encoding() throws {
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        let id = UInt8(keyspace.tree.id)
        var batch = WriteBatch()
        #expect(batch.isEmpty && bytes(batch) == [0, 0, 0, 0])
        batch.put("key", "value", in: keyspace)
        batch.delete([9] as [UInt8], in: keyspace)
        batch.deleteRange(from: "a", to: "bc", in: keyspace)
        let value = [EntryKind.value.rawValue, id, 3] + Array("key".utf8) + [5] + Array("value".utf8)
        let deletion = [EntryKind.deletion.rawValue, id, 1, 9, 0]
        let range = [EntryKind.rangeDeletion.rawValue, id, 1] + Array("a".utf8) + [2] + Array("bc".utf8)
        #expect(bytes(batch) == [3, 0, 0, 0] + value + deletion + range)
        #expect(batch.count == 3 && batch.byteCount == bytes(batch).count)
        // A length of two bytes, in front of the key and of the payload.
        var long = WriteBatch()
        long.put([UInt8](repeating: 1, count: 200), [UInt8](repeating: 2, count: 300), in: keyspace)
        let head: [UInt8] = [1, 0, 0, 0, EntryKind.value.rawValue, id, 0xC8, 0x01]
        let middle = [UInt8](repeating: 1, count: 200) + [0xAC, 0x02]
        #expect(bytes(long) == head + middle + [UInt8](repeating: 2, count: 300))
    }

    @Test("a copy stays as it is when the original grows or is cut back, and the other way round")
    func copies() throws {
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        var original = WriteBatch()
        original.put("first", "1", in: keyspace)
        let position = original.position
        let copy = original
        let before = bytes(copy)
        for number in 0..<100 { original.put("key \(number)", "value", in: keyspace) }
        #expect(bytes(copy) == before && copy.count == 1)
        #expect(original.count == 101)
        var other = original
        let grown = bytes(original)
        other.truncate(to: position)
        #expect(bytes(other) == before && other.count == 1)
        #expect(bytes(original) == grown && original.count == 101)
        other.put("second", "2", in: keyspace)
        #expect(bytes(copy) == before)
        try database.commit(other)
        #expect(try keyspace.entries().map(\.key) == [Array("first".utf8), Array("second".utf8)])
    }

    @Test("what is refused is kept, and nothing of the batch is written")
    func refusals() throws {
        let database = try fixture.open()
        let keyspace = try database.keyspace("a")
        var batch = WriteBatch()
        batch.put("good", "1", in: keyspace)
        batch.put("", "2", in: keyspace)
        batch.put("late", "3", in: keyspace)
        #expect(batch.count == 1 && batch.error?.kind == .invalidArgument)
        #expect(throws: ApusError.self) { try database.commit(batch) }
        #expect(try keyspace.count() == 0)
    }
}
