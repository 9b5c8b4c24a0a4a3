// The record format behind Codable: whatever encodes decodes to the same, added and removed fields are tolerated, and
// damaged bytes are errors.

import Apus
import ApusIO
import ApusSimulation
import Testing

@testable import ApusStore

@Suite struct RecordCodingTests {
    private struct Address: Codable, Equatable {
        var city: String
        var zip: Int?
    }

    private enum Shape: Codable, Equatable {
        case point
        case circle(radius: Double)
        case polygon([Double], name: String)
    }

    private class Base: Codable {
        var base = 1
        init() {}
    }

    private final class Derived: Base {
        var derived = "d"
        override init() { super.init() }

        enum Keys: CodingKey { case derived }

        required init(from decoder: any Decoder) throws {
            derived = try decoder.container(keyedBy: Keys.self).decode(String.self, forKey: .derived)
            try super.init(from: decoder)
        }

        override func encode(to encoder: any Encoder) throws {
            try super.encode(to: encoder)
            var container = encoder.container(keyedBy: Keys.self)
            try container.encode(derived, forKey: .derived)
        }
    }

    private struct Everything: Codable, Equatable {
        var bool = true
        var int8 = Int8.min
        var uint16 = UInt16.max
        var int = -1
        var small = 63
        var notSmall = 64
        var huge = UInt64.max
        var least = Int64.min
        var float = Float(1.5)
        var double = -0.1
        var infinite = Double.infinity
        var text = "größer \u{0} 👍"
        var long = String(repeating: "long ", count: 100)
        var id = DocumentID(7)
        var time = Timestamp(milliseconds: -5)
        var bytes: [UInt8] = [0, 1, 255]
        var none: String?
        var some: Int? = 4
        var address = Address(city: "Paris", zip: nil)
        var addresses = [Address(city: "Rome", zip: 1), Address(city: "Oslo", zip: nil)]
        var optionals: [Int?] = [1, nil, 3]
        var nested = [["a"], [], ["b", "c"]]
        var dictionary = ["x": 1, "y z": 2]
        var numbers = [1: "one", 2: "two"]
        var set: Set<Int> = [3]
        var shapes = [Shape.point, .circle(radius: 2), .polygon([1, 2], name: "p")]
        var json: JSONValue = ["a": [1, 2.5, nil, true], "b": ["c": "d"]]
        var duration: [Duration] = [.seconds(3)]
        var ranges = [0..<5]
    }

    private func names() throws -> FieldNames {
        let database = try Database.open(at: "/db", environment: .simulated(seed: 1))
        return try FieldNames(database: database, keyspace: try database.keyspace("names"))
    }

    private func roundTrip<Value: Codable>(_ value: Value, _ names: FieldNames) throws -> Value {
        let encoder = RecordEncoder(names: names)
        try encoder.encode(value)
        let record = encoder.record(RecordHeader(version: 3, schemaVersion: 300, expiry: 1 << 40))
        let view = try RecordView(record)
        #expect(view.header == RecordHeader(version: 3, schemaVersion: 300, expiry: 1 << 40))
        return try RecordDecoder.decode(Value.self, from: view, names: names.current)
    }

    private struct Chain: Codable {
        var next: [Chain]
    }

    @Test func whatNestsTooDeeplySaysSo() throws {
        func encoded(_ depth: Int) throws -> [UInt8] {
            let chain = (0..<depth).reduce(Chain(next: [])) { chain, _ in Chain(next: [chain]) }
            let encoder = RecordEncoder(names: try names())
            try encoder.encode(chain)
            return Array(encoder.fields)
        }
        #expect(try !encoded(31).isEmpty)
        let error = #expect(throws: EncodingError.self) { try encoded(32) }
        #expect("\(error.map { "\($0)" } ?? "")".contains("nested deeper than 64 levels"))
    }

    @Test func everyTypeComesBackAsItWas() throws {
        let names = try names()
        let value = Everything()
        #expect(try roundTrip(value, names) == value)
        // The names are known now, and the order of the fields expected.
        let encoder = RecordEncoder(names: names)
        for text in ["a", "b"] {
            var other = value
            other.none = text
            other.some = nil
            other.text = text
            try encoder.encode(other)
            let view = RecordView(fields: encoder.fields)
            #expect(try RecordDecoder.decode(Everything.self, from: view, names: names.current) == other)
        }
    }

    @Test func classesAndTheirSuperclassesShareAnObject() throws {
        let value = Derived()
        value.base = 5
        value.derived = "six"
        let back = try roundTrip(value, try names())
        #expect(back.base == 5 && back.derived == "six")
    }

    @Test func fieldsMayBeAddedRemovedAndReordered() throws {
        struct Old: Codable {
            var a = 1
            var gone = "x"
            var b = [1, 2]
        }
        struct New: Codable, Equatable {
            var b: [Int]
            var added: String?
            var a: Int
        }
        let names = try names()
        let encoder = RecordEncoder(names: names)
        try encoder.encode(Old())
        let new = try RecordDecoder.decode(New.self, from: RecordView(fields: encoder.fields), names: names.current)
        #expect(new == New(b: [1, 2], added: nil, a: 1))
    }

    @Test func aMissingFieldIsAnErrorThatNamesIt() throws {
        struct Old: Codable { var a = 1 }
        struct New: Codable { var needed: Int }
        let names = try names()
        let encoder = RecordEncoder(names: names)
        try encoder.encode(Old())
        #expect {
            try RecordDecoder.decode(New.self, from: RecordView(fields: encoder.fields), names: names.current)
        } throws: { error in
            "\(error)".contains("needed")
        }
    }

    @Test func whatIsNoObjectIsRefused() throws {
        let encoder = RecordEncoder(names: try names())
        #expect(throws: EncodingError.self) { try encoder.encode(5) }
        #expect(throws: EncodingError.self) { try encoder.encode([1, 2]) }
        #expect(throws: EncodingError.self) { try encoder.encode(JSONValue.string("x")) }
    }

    @Test func deepNestingIsRefusedAndNotATrap() throws {
        let encoder = RecordEncoder(names: try names())
        var value: JSONValue = 1
        for _ in 0..<200 { value = ["inner": value] }
        #expect(throws: EncodingError.self) { try encoder.encode(value) }
        indirect enum List: Codable {
            case end
            case more(List)
        }
        var list = List.end
        for _ in 0..<200 { list = .more(list) }
        // Whoever keeps or prints the error must not have the encoder, and the database behind it, in it.
        do {
            try encoder.encode(["list": list])
            Issue.record("it is not refused")
        } catch EncodingError.invalidValue(let value, _) {
            #expect(!(value is RecordEncoder) && !(value is RecordSingleValue))
        }
    }

    @Test func dictionariesDoNotFillTheListOfNames() throws {
        let names = try names()
        struct Holder: Codable, Equatable { var counts: [String: Int] }
        let value = Holder(counts: Dictionary(uniqueKeysWithValues: (0..<100).map { ("key \($0)", $0) }))
        #expect(try roundTrip(value, names) == value)
        #expect(names.current.names == ["", "counts"])
    }

    @Test func namesBeyondTheLimitStandInTheRecord() throws {
        let names = try names()
        let fields = (0..<FieldNames.countLimit + 50).map { ("field\($0)", JSONValue($0)) }
        let value = JSONValue.object(Dictionary(uniqueKeysWithValues: fields))
        #expect(try roundTrip(value, names) == value)
        #expect(names.current.names.count == FieldNames.countLimit + 1)
    }

    @Test func namesSurviveReopening() throws {
        var machine = Simulation(seed: 4)
        var database = try Database.open(at: "/db", environment: machine.environment)
        let names = try FieldNames(database: database, keyspace: try database.keyspace("names"))
        #expect(try names.register("a") == 1)
        #expect(try names.register("b") == 2)
        #expect(try names.register("a") == 1)
        try database.close()
        machine.restart()
        database = try Database.open(at: "/db", environment: machine.environment)
        let again = try FieldNames(database: database, keyspace: try database.keyspace("names"))
        #expect(try again.register("c") == 3)
        #expect(again.current.id(of: "b") == 2)
    }

    @Test func damagedRecordsAreErrorsAndNeverTraps() throws {
        let names = try names()
        let encoder = RecordEncoder(names: names)
        try encoder.encode(Everything())
        let record = [UInt8](encoder.record(RecordHeader(version: 1, schemaVersion: 1, expiry: 0)))
        func attempt(_ bytes: [UInt8]) {
            bytes.withUnsafeBytes { bytes in
                guard let view = try? RecordView(bytes) else { return }
                _ = try? RecordDecoder.decode(Everything.self, from: view, names: names.current)
                _ = try? JSONValue(fields: view.fields, names: names.current)
                _ = try? view.value(at: names.current.resolve("address.city"))
            }
        }
        for count in record.indices { attempt(Array(record[..<count])) }
        for index in record.indices {
            for change: UInt8 in [0x01, 0x40, 0x80, 0xFF] {
                var damaged = record
                damaged[index] ^= change
                attempt(damaged)
            }
        }
    }
}
