// Mistakes that the core of the store has made once.

import Apus
import Testing

@testable import ApusStore

@Suite struct StoreRegressionTests {
    /// The engine takes both spellings for one keyspace; the catalogue had a record for each.
    @Test func namesThatReadTheSameAreNotTwoCollections() throws {
        let fixture = StoreFixture()
        var store = try fixture.open()
        let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
        var blobs: BlobCollection? = try store.blobs(composed)
        try blobs?.put("content")
        #expect(throws: StoreError.self) { try store.blobs(decomposed) }
        blobs = nil
        let error = #expect(throws: StoreError.self) { try store.blobs(decomposed) }
        #expect(error?.kind == .invalidArgument)
        try store.close()
        fixture.restart(store)
        store = try fixture.open()
        #expect(throws: StoreError.self) { try store.blobs(decomposed) }
        #expect(try store.blobs(composed).contains(BlobID(of: "content")))
        // Another kind of collection has keyspaces of its own.
        _ = try store.sessions(decomposed)
        #expect(try store.verify().isSound)
        try store.close()
    }

    /// What an action asked for was forgotten, or was told that the transaction had failed.
    @Test func actionsOfTheCommitMayAskForMore() throws {
        let store = try StoreFixture().open()
        var order: [String] = []
        try store.transaction { transaction in
            transaction.onCommit {
                order.append("first")
                transaction.onCommit { order.append("third") }
            }
            transaction.onCommit { order.append("second") }
        }
        #expect(order == ["first", "second", "third"])
        try store.close()
    }

    /// A transaction that had outlived its closure read a snapshot that the engine no longer kept.
    @Test func transactionsThatAreOverCannotBeRead() throws {
        struct Refusal: Error {}
        let store = try StoreFixture().open()
        let keyspace = try store.database.keyspace("k")
        var kept: [StoreTransaction] = []
        try store.transaction { transaction in
            kept.append(transaction)
            _ = try transaction.get("a", in: keyspace)
            // The first attempt is in conflict.
            if kept.count == 1 { try keyspace.put("a", "other") }
            transaction.put("a", "own", in: keyspace)
        }
        #expect(throws: Refusal.self) {
            try store.transaction { transaction in
                kept.append(transaction)
                throw Refusal()
            }
        }
        #expect(kept.count == 3)
        for transaction in kept {
            var errors: [ApusError?] = []
            errors.append(#expect(throws: ApusError.self) { try transaction.get("a", in: keyspace) })
            errors.append(#expect(throws: ApusError.self) { try transaction.contains("a", in: keyspace) })
            errors.append(#expect(throws: ApusError.self) { try transaction.scan(in: keyspace) { _, _ in .next } })
            errors.append(
                #expect(throws: ApusError.self) { try transaction.withValue(for: "a", in: keyspace) { _ in } })
            #expect(errors.allSatisfy { $0?.kind == .closed })
        }
        try store.close()
    }

    /// The power failed between the catalogue's record and the keyspaces: verifying without the right to write threw.
    @Test func collectionsWithoutKeyspacesAreVerifiedReadOnly() throws {
        let fixture = StoreFixture()
        do {
            let store = try fixture.open()
            var seed: [UInt8] = []
            seed.appendLittleEndian(UInt64(7))
            try store.transaction { transaction in
                let blobs = CollectionRecord(format: BlobCollection.format, definition: seed)
                try store.catalogue.put(blobs, of: CollectionName(.blobs, "b"), in: transaction)
                let sessions = CollectionRecord(format: SessionCollection.format)
                try store.catalogue.put(sessions, of: CollectionName(.sessions, "s"), in: transaction)
            }
            try store.close()
            fixture.restart(store)
        }
        fixture.options.isReadOnly = true
        let store = try fixture.open()
        let report = try store.verify()
        #expect(report.isSound && report.collections == ["blob:b", "session:s"])
        #expect(throws: ApusError.self) { try store.blobs("b") }
        try store.close()
    }

    private final class Stub: StoreCollection {
        let definition: [UInt8]
        init(_ definition: [UInt8]) { self.definition = definition }
    }

    /// Of two threads that opened one collection with different schemas at the same time, one had its own in use, and
    /// the other's in the catalogue.
    @Test func twoDefinitionsAreNotOpenedSideBySide() throws {
        let store = try StoreFixture().open()
        let stub = try store.collection(.documents, "d", definition: [1]) { _ in
            let error = #expect(throws: StoreError.self) {
                try store.collection(.documents, "d", definition: [2]) { _ in Stub([2]) }
            }
            #expect(error?.kind == .definitionMismatch)
            return Stub([1])
        }
        #expect(stub.definition == [1])
        // One that could not be opened is not being opened any more.
        struct Refusal: Error {}
        #expect(throws: Refusal.self) {
            let _: Stub = try store.collection(.documents, "e", definition: [1]) { _ in throw Refusal() }
        }
        let other = try store.collection(.documents, "e", definition: [2]) { _ in Stub([2]) }
        #expect(other.definition == [2])
        try store.close()
    }

    /// Seconds that fit into milliseconds, and do not with their fraction.
    @Test func durationsOfAnyLengthAreCounted() {
        let longest = UInt64.max / 4
        let nearly = Duration(
            secondsComponent: 18_446_744_073_709_551, attosecondsComponent: 900_000_000_000_000_000)
        #expect(nearly.countedMilliseconds == longest)
        #expect(Duration.seconds(Int64.max).countedMilliseconds == longest)
        #expect(Duration.seconds(-1).countedMilliseconds == 0)
        #expect(Duration.nanoseconds(-1).countedMilliseconds == 0)
        #expect(Duration.zero.countedMilliseconds == 0)
        #expect(Duration.nanoseconds(1).countedMilliseconds == 1)
        #expect(Duration.microseconds(1001).countedMilliseconds == 2)
        #expect(Duration.seconds(3).countedMilliseconds == 3000)
    }
}
