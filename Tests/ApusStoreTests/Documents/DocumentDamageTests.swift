// Input that was made to do harm, and bytes that are not what was written: typed errors, in bounded time and memory.

import Apus
import Testing

@testable import ApusStore

@Suite struct DocumentDamageTests {
    @Test func endlessQueriesAreAnsweredOrRefusedInTime() throws {
        let fixture = try DocumentFixture()
        let things = try fixture.store.documents(named: "things", schema: Schema<JSONValue>().index("a"))
        try things.insert(["id": 1, "a": 7])
        let alternatives = (0..<4_000).map { "a == \($0)" }.joined(separator: " or ")
        #expect(try things.query(alternatives).count() == 1)
        let conjunction = (0..<4_000).map { "a != \($0 + 100)" }.joined(separator: " and ")
        #expect(try things.query(conjunction).count() == 1)
        for text in [
            String(repeating: "a == 1 or ", count: 200_000) + "a == 2", String(repeating: "(", count: 100_000),
            String(repeating: "not ", count: 100_000) + "a == 1", "a == \"" + String(repeating: "x", count: 2 << 20),
            "a == " + String(repeating: "9", count: 10_000), "a == \"", "a == \"\\", "a == '", "a == `", "a == -",
            "count count",
            "count distinct a", "a in [1, 2", "a == \"\\u12\"", "a == 1e999", "limit 99999999999999999999", "limit -1",
        ] {
            #expect(storeError { try things.query(text).count() }?.kind == .invalidQuery, "\(text.prefix(40))")
        }
    }

    @Test func keysThatNobodyWroteAreNoNumbers() {
        #expect(JSONValue(keyElements: [.double(1e300), .integer(1)]) == .double(1e300))
        #expect(JSONValue(keyElements: [.double(.infinity), .integer(1)]) == .double(.infinity))
        #expect(JSONValue(keyElements: [.double(0x1p53), .integer(1)]) == .integer(1 << 53 + 1))
        #expect(JSONValue(keyElements: [.double(0x1p64), .integer(-1)]) == .unsigned(.max))
    }

    @Test func aStateWithTheSameIndexTwiceIsDamaged() throws {
        let fixture = try DocumentFixture()
        let schema = Schema<JSONValue>().index("a").index("b")
        let things = try fixture.store.documents(named: "things", schema: schema)
        let keyspace = things.collection.keyspace
        let state = String(decoding: try keyspace.get(CollectionState.key)!, as: UTF8.self)
        let damaged = state.replacing(#""number":2"#, with: #""number":1"#)
        #expect(damaged != state)
        try keyspace.put(CollectionState.key, Array(damaged.utf8))
        #expect(storeError { try things.collection.adoptLatest() }?.kind == .corruption)
    }

    /// A type of its own kind inside itself.
    private final class Tree: Codable {
        var branch: Tree?
    }

    @Test func aRecordThatNestsWithoutEndDoesNotExhaustTheStack() throws {
        var content: [UInt8] = []
        for _ in 0..<20_000 {
            var outer: [UInt8] = [0, 6] + Array("branch".utf8) + [RecordTag.object]
            outer.appendLittleEndian(UInt32(content.count))
            content = outer + content
        }
        let record: [UInt8] = [1, 1, 1, 0] + content
        record.withUnsafeBytes { bytes in
            #expect(throws: RecordDamage.self) {
                try RecordDecoder.decode(Tree.self, from: try RecordView(bytes), names: FieldNameTable())
            }
            #expect(throws: RecordDamage.self) {
                try JSONValue(fields: try RecordView(bytes).fields, names: FieldNameTable())
            }
        }
    }

    @Test func timesBeyondAllCalendarsAreTheLast() throws {
        #expect(Timestamp(milliseconds: .max) + .seconds(1) == Timestamp(milliseconds: .max))
        #expect(Timestamp(milliseconds: .min) - .seconds(1) == Timestamp(milliseconds: .min))
        #expect(Timestamp(milliseconds: 0) + .seconds(Int64.max) == Timestamp(milliseconds: .max))
        let fixture = try DocumentFixture()
        let things = try fixture.store.documents(
            named: "things", schema: Schema<JSONValue>().expires(after: .seconds(Int64.max)))
        try things.insert(["id": 1])
        try things.insert(["id": 2], expiry: .after(.seconds(Int64.max)))
        try things.insert(["id": 3], expiry: .at(milliseconds: .max))
        #expect(try things.query().count() == 3)
        #expect(try fixture.store.verify().isSound)
    }
}
