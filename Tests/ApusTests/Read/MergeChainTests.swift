// Folding merge operands with and without expiries, against the definition in FORMAT.md §2.3.

import Testing

@testable import Apus

@Suite struct MergeChainTests {
    /// Operands as (text, written at, expires at), oldest first.
    static func resolve(
        _ operands: [(String, UInt64, UInt64)],
        base: (String, UInt64)? = nil,
        _ mergeOperator: (any MergeOperator)? = .append
    ) throws -> (String, UInt64) {
        var chain = MergeChain()
        for (text, writtenAt, expiresAt) in operands.reversed() {
            Array(text.utf8).raw { chain.add(operand: $0, writtenAt: writtenAt, expiresAt: expiresAt) }
        }
        var reversed = MergeChain()
        for (text, writtenAt, expiresAt) in operands {
            Array(text.utf8).raw { reversed.addNewer(operand: $0, writtenAt: writtenAt, expiresAt: expiresAt) }
        }
        let bytes = base.map { Array($0.0.utf8) } ?? []
        return try bytes.raw { bytes in
            try [UInt8(ascii: "k")].raw { key in
                let given = base.map { (value: bytes, expiresAt: $0.1) }
                let result = try chain.resolve(base: given, key: key, operator: mergeOperator)
                let other = try reversed.resolve(base: given, key: key, operator: mergeOperator)
                #expect(result.value == other.value && result.expiresAt == other.expiresAt)
                #expect(chain.expiry(baseExpiresAt: base?.1) == result.expiresAt)
                return (String(decoding: result.value, as: UTF8.self), result.expiresAt)
            }
        }
    }

    @Test func operandsApplyOldestFirst() throws {
        #expect(try Self.resolve([("b", 1, 0), ("c", 2, 0)]) == ("bc", 0))
        #expect(try Self.resolve([("b", 1, 0), ("c", 2, 0)], base: ("a", 0)) == ("abc", 0))
    }

    @Test func anOperandStartsFromNothingWhereTheStateHadExpiredWhenItWasWritten() throws {
        // The base lives until 10: an operand at 9 builds on it, an operand at 10 does not.
        #expect(try Self.resolve([("b", 9, 0)], base: ("a", 10)) == ("ab", 10))
        #expect(try Self.resolve([("b", 10, 0)], base: ("a", 10)) == ("b", 0))
        // The result of the first operand expires at 20, so the second begins anew.
        #expect(try Self.resolve([("b", 9, 20), ("c", 25, 0)], base: ("a", 0)) == ("c", 0))
        // An operand's own expiry extends what it builds on.
        #expect(try Self.resolve([("b", 9, 30), ("c", 25, 0)], base: ("a", 10)) == ("abc", 30))
    }

    @Test func malformedOperandsBelowAFreshStartDoNotMatter() throws {
        let one = String(decoding: [1, 0, 0, 0, 0, 0, 0, 0] as [UInt8], as: UTF8.self)
        #expect(try Self.resolve([("bad", 1, 5), (one, 9, 0)], .add).0 == one)
        #expect(throws: ApusError.self) { try Self.resolve([("bad", 1, 0), (one, 9, 0)], .add) }
    }

    @Test func failuresNameTheKey() {
        for mergeOperator in [nil, AddMergeOperator()] as [(any MergeOperator)?] {
            let error = #expect(throws: ApusError.self) { try Self.resolve([("abc", 1, 0)], mergeOperator) }
            #expect(error?.kind == .mergeFailed)
            #expect(error?.message.contains("\"k\"") == true)
        }
    }

    @Test func aBaseThatHadExpiredIsNotNeeded() {
        var chain = MergeChain()
        [UInt8(1)].raw { chain.add(operand: $0, writtenAt: 10, expiresAt: 0) }
        #expect(chain.needsBase(expiresAt: 0))
        #expect(chain.needsBase(expiresAt: 11))
        #expect(!chain.needsBase(expiresAt: 10))
    }

    static func apply(_ mergeOperator: some MergeOperator, _ existing: [UInt8]?, _ operand: [UInt8]) throws -> [UInt8] {
        var result: [UInt8] = []
        let key: [UInt8] = [1]
        if let existing {
            try mergeOperator.merge(
                key: key.span.bytes,
                existing: existing.span.bytes,
                operand: operand.span.bytes,
                into: &result
            )
        } else {
            try mergeOperator.merge(key: key.span.bytes, existing: nil, operand: operand.span.bytes, into: &result)
        }
        return result
    }

    @Test func builtInOperatorsDoWhatTheySay() throws {
        let most = [UInt8](repeating: 0xFF, count: 8)
        let two: [UInt8] = [2, 0, 0, 0, 0, 0, 0, 0]
        #expect(try Self.apply(.add, nil, two) == two)
        #expect(try Self.apply(.add, two, two) == [4, 0, 0, 0, 0, 0, 0, 0])
        #expect(try Self.apply(.add, most, two) == [1, 0, 0, 0, 0, 0, 0, 0])
        #expect(throws: MergeOperandError.self) { try Self.apply(.add, [1], two) }
        #expect(throws: MergeOperandError.self) { try Self.apply(.add, two, []) }
        #expect(try Self.apply(.append, nil, [1]) == [1])
        #expect(try Self.apply(.append, [1], [2]) == [1, 2])
        #expect(try Self.apply(.maximum, nil, [1]) == [1])
        #expect(try Self.apply(.maximum, [1, 0], [1]) == [1, 0])
        #expect(try Self.apply(.maximum, [0xFE], [0xFF]) == [0xFF])
        #expect(try Self.apply(.setIfAbsent, nil, [1]) == [1])
        #expect(try Self.apply(.setIfAbsent, [], [1]) == [])
    }
}
