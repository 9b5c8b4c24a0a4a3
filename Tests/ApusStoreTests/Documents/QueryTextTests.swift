// The text of queries and the values in it: whatever a condition prints as parses to it again, and no text traps.

import Apus
import ApusSimulation
import Testing

@testable import ApusStore

@Suite struct QueryTextTests {
    struct Generator: RandomNumberGenerator {
        let random: SeededRandom
        mutating func next() -> UInt64 { random.next() }
    }

    private func value(_ generator: inout Generator) -> JSONValue {
        switch Int.random(in: 0..<9, using: &generator) {
        case 0: .null
        case 1: .bool(.random(using: &generator))
        case 2: .integer(Int64.random(in: .min ... .max, using: &generator))
        case 3: .integer(Int64.random(in: -70...70, using: &generator))
        case 4: .double(Double.random(in: -1e10...1e10, using: &generator))
        case 5: .unsigned(.max)
        case 6: .string(["", "it's", "\"q\" \\ \n", "größer"].randomElement(using: &generator)!)
        case 7: .date(Timestamp(milliseconds: Int64.random(in: -1 << 44...1 << 44, using: &generator)))
        default: .id(DocumentID(UInt128(generator.next()) << 64 | UInt128(generator.next())))
        }
    }

    private func expression(_ generator: inout Generator, _ depth: Int) -> Expression {
        let path: FieldPath = ["a", "b.c", "order", "odd name", "id"].randomElement(using: &generator)!
        switch Int.random(in: 0..<(depth > 3 ? 4 : 7), using: &generator) {
        case 0: return .compare(path, Comparison.allCases.randomElement(using: &generator)!, value(&generator))
        case 1: return .among(path, (0..<3).map { _ in value(&generator) })
        case 2: return .contains(path, value(&generator))
        case 3: return .text(path, TextMatch.allCases.randomElement(using: &generator)!, "x\"y")
        case 4: return .not(expression(&generator, depth + 1))
        case 5: return .conjunction([expression(&generator, depth + 1), expression(&generator, depth + 1)])
        default: return .disjunction([expression(&generator, depth + 1), expression(&generator, depth + 1)])
        }
    }

    @Test func conditionsParseToThemselves() throws {
        var generator = Generator(random: SeededRandom(seed: 11))
        for _ in 0..<2_000 {
            let expression = expression(&generator, 0)
            let text = "\(expression)"
            #expect(try QueryParser.condition(text) == expression, "\(text)")
        }
    }

    @Test func everySpellingIsUnderstood() throws {
        #expect(
            try QueryParser.condition("a = 1 && b <> 2 || ! c is null")
                == QueryParser.condition("(a == 1 and b != 2) or not (c == null)"))
        #expect(try QueryParser.condition("a between 1 and 2") == QueryParser.condition("a >= 1 and a <= 2"))
        #expect(try QueryParser.condition("a in (1, 2)") == QueryParser.condition("a == 1 or a == 2"))
        #expect(try QueryParser.condition("a = 'x' OR a = 'y'") == QueryParser.condition("a in [\"x\", \"y\"]"))
        let query = try QueryParser.query("where a == 1 sort by b desc, c limit 3 offset 4")
        #expect(query.limit == 3 && query.offset == 4)
        #expect(query.order == [SortKey(path: "b", order: .descending), SortKey(path: "c", order: .ascending)])
        #expect(try QueryParser.query("").condition == .always)
    }

    @Test func noTextTraps() {
        var generator = Generator(random: SeededRandom(seed: 3))
        let words = [
            "a", "(", ")", "[", "]", "==", "\"", "'", "`", "and", "not", "in", "1", "-", "1e999", "date", "limit",
            "order", "by", "group", ":", "\\", "\u{0}", "is", "null", ".", ",", "99999999999999999999",
        ]
        for _ in 0..<20_000 {
            let count = Int.random(in: 0..<12, using: &generator)
            let text = (0..<count).map { _ in words.randomElement(using: &generator)! }
                .joined(separator: Bool.random(using: &generator) ? " " : "")
            _ = try? QueryParser.query(text)
            _ = try? JSONValue(parsing: text)
        }
        _ = try? QueryParser.condition(String(repeating: "not ", count: 100_000) + "a == 1")
        _ = try? JSONValue(parsing: String(repeating: "[", count: 100_000))
    }

    @Test func timesAndIdentifiersComeBackFromTheirText() {
        var generator = Generator(random: SeededRandom(seed: 5))
        for _ in 0..<2_000 {
            let time = Timestamp(milliseconds: Int64.random(in: -1 << 45...1 << 45, using: &generator))
            #expect(Timestamp(time.description) == time)
            let id = DocumentID(UInt128(generator.next()) << 64 | UInt128(generator.next()))
            #expect(DocumentID(id.description) == id)
        }
        #expect(Timestamp("2024-02-29") == Timestamp(milliseconds: 1_709_164_800_000))
        #expect(Timestamp("2024-02-29T12:30:05.25Z") == Timestamp(milliseconds: 1_709_209_805_250))
        for text in ["2023-02-29", "2024-13-01", "yesterday", "2024-01-01T25:00", "2024-01-01x"] {
            #expect(Timestamp(text) == nil, "\(text)")
        }
        #expect(DocumentID("123") == nil && DocumentID("g0000000-0000-0000-0000-000000000000") == nil)
    }

    @Test func numbersAreComparedAndSortedExactly() {
        let values: [JSONValue] = [
            .double(-.infinity), .integer(.min), -2.5, -2, 0, 0.5, 1, .integer(1 << 53), .integer(1 << 53 + 1),
            .double(0x1p53 + 2), .integer(.max), .double(0x1p63), .unsigned(1 << 63 + 1), .unsigned(.max),
            .double(0x1p64),
            .double(.infinity),
        ]
        for (i, a) in values.enumerated() {
            for (j, b) in values.enumerated() {
                let order = a.withScalar { x in b.withScalar { x.order($0) } }
                #expect((order ?? 9).signum() == (i - j).signum(), "\(a) \(b)")
                var x = KeyWriter()
                var y = KeyWriter()
                _ = a.withScalar { x.append($0, .any, descending: false) }
                _ = b.withScalar { y.append($0, .any, descending: false) }
                #expect(x.bytes.lexicographicallyPrecedes(y.bytes) == (i < j), "\(a) \(b)")
            }
        }
    }
}
