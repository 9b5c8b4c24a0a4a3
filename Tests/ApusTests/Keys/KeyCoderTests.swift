// Tuple keys: exact bytes, round trips, the order property on random tuples, and hostile input.

import Apus
import Testing

@Suite struct KeyCoderTests {
    static let seeds: [UInt64] = [1, 2, 3, 4]

    // MARK: Exact bytes (FORMAT.md §7)

    @Test(
        arguments: [
            (KeyElement.null, [0x02]),
            (false, [0x04]),
            (true, [0x05]),
            (0, [0x14]),
            (1, [0x15, 1]),
            (255, [0x15, 255]),
            (256, [0x16, 1, 0]),
            (-1, [0x13, 0xFE]),
            (-256, [0x12, 0xFE, 0xFF]),
            (.integer(.min), [0x0C, 0x7F, 255, 255, 255, 255, 255, 255, 255]),
            (.integer(.max), [0x1C, 0x7F, 255, 255, 255, 255, 255, 255, 255]),
            (.unsigned(.max), [0x1C, 255, 255, 255, 255, 255, 255, 255, 255]),
            (1.0, [0x20, 0xBF, 0xF0, 0, 0, 0, 0, 0, 0]),
            (-1.0, [0x20, 0x40, 0x0F, 255, 255, 255, 255, 255, 255]),
            (.date(milliseconds: 0), [0x24, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            (.uuid(0x0102_0304_0506_0708_090A_0B0C_0D0E_0F10), [0x28] + Array(1...16)),
            (.bytes([1, 0, 2]), [0x2C, 1, 0, 0xFF, 2, 0, 1]),
            ("ab", [0x30, 0x61, 0x62, 0, 1]),
            ([1, "a"], [0x34, 0x15, 1, 0x30, 0x61, 0, 1, 0]),
            (.descending(1), [0xEA, 0xFE]),
            (.descending([.descending(1)]), [0xCB, 0x15, 1, 0xFF]),
        ] as [(KeyElement, [UInt8])]
    )
    func bytesAreFrozen(element: KeyElement, bytes: [UInt8]) throws {
        #expect(KeyCoder.encode(element) == bytes)
        #expect(try KeyCoder.decode(bytes) == [element])
    }

    @Test func literalsAndVariablesMakeTheSameElements() {
        #expect(
            KeyCoder.encode("a", 1, nil, true, 2.5, [1, 2])
                == KeyCoder.encode(
                    KeyElement("a"),
                    KeyElement(UInt8(1)),
                    .null,
                    KeyElement(true),
                    KeyElement(2.5),
                    .tuple([1, 2])
                )
        )
        #expect(KeyElement(UInt64.max) == .unsigned(.max))
        #expect(KeyElement([1, 2] as [UInt8]) == .bytes([1, 2]))
    }

    @Test func unsignedThatFitsIsTheSameElementAsSigned() throws {
        #expect(KeyElement.unsigned(5) == .integer(5))
        #expect(KeyElement.unsigned(5).hashValue == KeyElement.integer(5).hashValue)
        guard case .integer(5) = try #require(try KeyCoder.decode(KeyCoder.encode(.unsigned(5))).first) else {
            Issue.record("decoded as something else")
            return
        }
    }

    @Test func doublesKeepEveryBit() throws {
        let doubles = [0.0, -0.0, .infinity, -.infinity, .nan, -.nan, .leastNonzeroMagnitude, .pi]
        for value in doubles {
            guard case .double(let decoded)? = try KeyCoder.decode(KeyCoder.encode(.double(value))).first else {
                Issue.record("\(value) decoded as something else")
                return
            }
            #expect(decoded.bitPattern == value.bitPattern)
        }
        let sorted = [-Double.nan, -.infinity, -1, -0.0, 0.0, 1, .infinity, .nan].map { KeyCoder.encode(.double($0)) }
        for (a, b) in zip(sorted, sorted.dropFirst()) { #expect(a.lexicographicallyPrecedes(b)) }
    }

    @Test func descriptionsNameTypeAndValue() {
        let element: KeyElement = [
            nil, true, -1, .unsigned(.max), 0.5, .date(milliseconds: 7), .uuid(255), .bytes([0, 171]), "x",
            .descending(2),
        ]
        #expect(
            "\(element)"
                == "(null, true, -1, 18446744073709551615, 0.5, date(7 ms), uuid(000000000000000000000000000000ff), "
                + "bytes(00ab), \"x\", descending(2))"
        )
    }

    // MARK: Properties

    @Test(arguments: seeds)
    func orderOfEncodingsIsOrderOfTuples(seed: UInt64) {
        var source = TupleSource(seed: seed)
        for _ in 0..<5_000 {
            let a = source.tuple()
            let b = source.neighbour(of: a)
            let (x, y) = (KeyCoder.encode(a), KeyCoder.encode(b))
            // `.tuple` compares by the model in KeyElement, which knows nothing of the encoding.
            #expect(
                x.lexicographicallyPrecedes(y) == (KeyElement.tuple(a) < .tuple(b)),
                "seed \(seed): \(a) and \(b)"
            )
            #expect((x == y) == (KeyElement.tuple(a) == .tuple(b)), "seed \(seed): \(a) and \(b)")
        }
    }

    @Test(arguments: seeds)
    func everyTupleSurvivesARoundTrip(seed: UInt64) throws {
        var source = TupleSource(seed: seed)
        for _ in 0..<5_000 {
            let tuple = source.tuple()
            let bytes = KeyCoder.encode(tuple)
            let decoded = try KeyCoder.decode(bytes)
            #expect(KeyElement.tuple(decoded) == .tuple(tuple), "seed \(seed): \(tuple)")
            #expect(KeyCoder.encode(decoded) == bytes, "seed \(seed): \(tuple)")
        }
    }

    @Test(arguments: seeds)
    func rangeHoldsExactlyTheTuplesThatBeginAlike(seed: UInt64) {
        var source = TupleSource(seed: seed)
        for _ in 0..<2_000 {
            let tuple = source.tuple()
            let other = source.neighbour(of: tuple)
            guard let first = tuple.first else { continue }
            let key = KeyCoder.encode(other)
            let range = KeyCoder.range(of: first)
            let isInside =
                (range.lower.map { !key.lexicographicallyPrecedes($0) } ?? true)
                && (range.upper.map { key.lexicographicallyPrecedes($0) } ?? true)
            #expect(isInside == (other.first == first), "seed \(seed): \(first) and \(other)")
        }
    }

    // MARK: Hostile bytes

    @Test func damagedKeysAreTypedErrors() {
        let cases: [([UInt8], KeyDecodingError)] = [
            ([0x00], .unknownTag(0, offset: 0)),
            ([0xFF], .unknownTag(0xFF, offset: 0)),
            ([0x02, 0x03], .unknownTag(3, offset: 1)),
            ([0x16, 1], .truncated(offset: 0)),
            ([0x16, 0, 1], .notCanonical(offset: 0)),
            ([0x0C, 0x7F, 255, 255, 255, 255, 255, 255, 254], .notCanonical(offset: 0)),
            ([0x20, 1], .truncated(offset: 0)),
            ([0x30, 0x61], .truncated(offset: 0)),
            ([0x30, 0x61, 0], .truncated(offset: 0)),
            ([0x30, 0x61, 0, 2], .notCanonical(offset: 0)),
            ([0x05, 0x30, 0xC0, 0, 1], .notUnicode(offset: 1)),
            ([0x34, 0x02], .truncated(offset: 0)),
            ([UInt8](repeating: 0x34, count: 1_000), .nestedTooDeeply(offset: KeyCoder.nestingLimit)),
            ([UInt8](repeating: 0xCB, count: 1_000), .nestedTooDeeply(offset: KeyCoder.nestingLimit)),
        ]
        for (bytes, error) in cases {
            #expect(throws: error, "\(bytes)") { try KeyCoder.decode(bytes) }
            #expect(!error.description.isEmpty)
        }
    }

    @Test(arguments: seeds)
    func anyBytesDecodeToTheirOnlyTupleOrThrow(seed: UInt64) {
        var source = TupleSource(seed: seed)
        for _ in 0..<20_000 {
            var bytes = KeyCoder.encode(source.tuple())
            for _ in 0..<source.random.next(below: 3) where !bytes.isEmpty {
                bytes[source.random.next(below: bytes.count)] = UInt8(source.random.next(below: 256))
            }
            do throws(KeyDecodingError) {
                #expect(KeyCoder.encode(try KeyCoder.decode(bytes)) == bytes, "seed \(seed): \(bytes)")
            } catch {
                continue
            }
        }
    }

    @Test func nestingToTheLimitWorks() throws {
        var element: KeyElement = 1
        for _ in 0..<KeyCoder.nestingLimit { element = [element] }
        #expect(try KeyCoder.decode(KeyCoder.encode(element)) == [element])
    }
}
