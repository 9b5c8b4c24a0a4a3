// Faults of the kind that needs two threads, or a call at the wrong moment: what was freed too early, what waited for
// ever, what was decided too soon. Found by reading the code against itself.

import ApusIO
import ApusSimulation
import Synchronization
import Testing

@testable import Apus

@Suite("Lifetime regressions")
struct LifetimeRegressionTests {
    /// The optimiser moved the retain of a view past the end of the pin that made it safe. Only an optimised build can
    /// show that: `make torture` runs this one.
    @Test("a view that a reader retains is not freed while it is being replaced")
    func retainedViewsLive() throws {
        let real = try RealDatabase()
        let keyspace = try real.database.keyspace("a")
        try keyspace.put("key", "value")
        let engine = real.database.engine
        let tree = keyspace.tree
        let isDone = Atomic(false)
        let readers = (0..<3).map { _ in
            TestThread {
                while !isDone.load(ordering: .relaxed) { #expect(tree.retainedView().memtables.count >= 1) }
            }
        }
        for _ in 0..<200_000 {
            engine.structure.withLock { $0.trees[tree.id]!.publish() }
            engine.epochs.collect()
        }
        isDone.store(true, ordering: .relaxed)
        for reader in readers { reader.join() }
    }

    @Test("closing wakes a commit that waits for background work")
    func closeWakesWaitingCommits() throws {
        let real = try RealDatabase()
        let engine = real.database.engine
        let isWaiting = Monitor(false)
        let writer = TestThread {
            // As a commit does that level 0 has stopped: it leads, and waits for a compaction that will not come.
            expectError(.closed) {
                try engine.pipeline.perform(
                    CommitRequest(
                        .exclusive { () throws(ApusError) in
                            try engine.waitForBackground { _ in
                                isWaiting.withLock { $0 = true }
                                isWaiting.broadcast()
                                return false
                            }
                        }))
            }
        }
        _ = isWaiting.waitUntil(helping: engine.environment.scheduler) { $0 ? true : nil }
        try real.database.close()
        writer.join()
    }

    @Test("a transaction's scan keeps the blob files that it reads")
    func transactionsKeepBlobFiles() throws {
        let fixture = EngineFixture(seed: 3)
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: KeyspaceOptions(valueSeparationThreshold: 100))
        func value(_ byte: UInt8) -> [UInt8] { [UInt8](repeating: byte, count: 1_000) }
        for number in UInt8(1)...9 { try keyspace.put("key \(number)", value(0)) }
        try database.flush()
        // From here on all but one value of that blob file are garbage.
        for number in UInt8(1)...8 { try keyspace.put("key \(number)", value(number)) }
        try database.flush()
        let before = try fixture.names().filter { $0.hasSuffix(".blob") }
        #expect(before.count == 2)
        var found: [[UInt8]] = []
        try database.transaction { transaction in
            // Its own write makes it read through a cursor of its own.
            transaction.put("a", "first", in: keyspace)
            try transaction.scan(in: keyspace) { _, value in
                if found.isEmpty {
                    try database.compact()
                    fixture.machine.scheduler.runAll()
                    database.engine.epochs.collect()
                    fixture.machine.scheduler.runAll()
                    let named = database.statistics.keyspaces[0].blobFiles
                    #expect(try fixture.names().count { $0.hasSuffix(".blob") } > named, "nothing would be missed")
                }
                found.append(value.copied())
                return .next
            }
        }
        #expect(found == [Array("first".utf8)] + (UInt8(1)...8).map(value) + [value(0)])
        fixture.machine.scheduler.runAll()
        database.engine.epochs.collect()
        fixture.machine.scheduler.runAll()
        #expect(try !fixture.names().contains(before[0]))
    }

    @Test("asynchronous calls to a closed database end")
    func asynchronousCallsEnd() async throws {
        let real = try RealDatabase()
        let database = real.database
        func close() throws { try database.close() }
        try close()
        let calls: [@Sendable () async throws -> Void] = [
            { try await database.flush() }, { try await database.compact() }, { try await database.synchronize() },
            { try await database.transaction { _ in } },
        ]
        for call in calls {
            do {
                try await call()
                Issue.record("no error")
            } catch {
                #expect((error as? ApusError)?.kind == .closed)
            }
        }
    }

    @Test("new options for a keyspace that is dropped meanwhile harm no other")
    func changingADroppedKeyspace() throws {
        let fixture = EngineFixture(seed: 5)
        let database = try fixture.open()
        let dropped = try database.keyspace("dropped").tree
        let kept = try database.keyspace("kept")
        try database.dropKeyspace("dropped")
        expectError(.closed) {
            try database.engine.record(VersionEdit([.keyspaceChanged(dropped.id, dropped.settings)]), in: dropped)
        }
        try kept.put("key", "value")
    }

    @Test("a merge operand is as old as its commit, however long it was held up")
    func operandsAreStampedLate() throws {
        let fixture = EngineFixture(seed: 6, writeBufferByteCount: 1 << 20)
        let database = try fixture.open()
        let keyspace = try database.keyspace("a", options: KeyspaceOptions(mergeOperator: .add))
        try keyspace.put(
            "sum", withUnsafeBytes(of: Int64(10).littleEndian) { [UInt8]($0) }, expiry: .after(.milliseconds(50)))
        // So far behind that the commit sleeps for longer than that.
        keyspace.tree.pressure.store(WriteThrottle.stop - 1, ordering: .relaxed)
        try database.write { batch in
            batch.merge("sum", 1, in: keyspace, expiry: .never)
            batch.put("other", [UInt8](repeating: 0, count: 400_000), in: keyspace)
        }
        #expect(try keyspace.get("sum") == [1, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test("a throttled commit of any size sleeps for a tenth of a second at most")
    func throttleIsBounded() {
        var throttle = WriteThrottle()
        #expect(throttle.delay(byteCount: 1 << 30, pressure: WriteThrottle.stop) == 100_000_000)
        var total: UInt64 = 0
        for _ in 0..<100 { total += throttle.delay(byteCount: 1, pressure: WriteThrottle.stop) }
        #expect((800_000_000...1_000_000_000).contains(total))
        #expect(throttle.delay(byteCount: 1 << 30, pressure: 0) == 0)
    }

    @Test("writes that were rolled back do not tie a transaction to their keyspace")
    func rolledBackKeyspacesAreForgotten() throws {
        let fixture = EngineFixture(seed: 7)
        let database = try fixture.open()
        let (kept, dropped) = (try database.keyspace("kept"), try database.keyspace("dropped"))
        try database.transaction { transaction in
            transaction.put("key", "value", in: kept)
            let savepoint = transaction.savepoint()
            transaction.put("key", "value", in: dropped)
            try transaction.rollBack(to: savepoint)
            try database.dropKeyspace("dropped")
        }
        #expect(try kept.get("key") == Array("value".utf8))
    }
}
