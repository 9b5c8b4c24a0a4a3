// Mistakes that collections of sessions have made once.

import Apus
import ApusIO
import ApusSimulation
import Foundation
import Testing

@testable import ApusStore

@Suite struct SessionRegressionTests {
    /// A session that was touched between finding its entry and loading it was in no list.
    @Test func recentSessionsAreListedWhileTheyAreTouched() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).apus").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let clock = SimulatedClock()
        var environment = Environment.system()
        environment.clock = clock
        let store = try Store.open(
            at: directory, options: Options(memoryBudget: 8 << 20, durability: .relaxed), environment: environment)
        let sessions = try store.sessions("s", expiry: SessionExpiry(idle: nil, absolute: .seconds(1 << 30)))
        let ids = try (0..<20).map { _ in try sessions.create(user: "ada").id }
        let isOver = Monitor(false)
        Foundation.Thread.detachNewThread {
            for _ in 0..<300 {
                // From one period to the next with every round.
                clock.advance(nanoseconds: 70_000_000_000)
                for id in ids { _ = try? sessions.touch(id) }
            }
            isOver.withLock { $0 = true }
        }
        while !isOver.withLock({ $0 }) { #expect(try sessions.recent(limit: 100).count == ids.count) }
        try store.close()
    }

    /// What a cache held outlasted, unseen, a session that could not.
    @Test func cachedValuesTakeNoRoomLongerThanTheirSession() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let sessions = try store.sessions("s", expiry: SessionExpiry(idle: .seconds(50), absolute: .seconds(100)))
        let session = try sessions.create(user: "ada")
        #expect(try sessions.cache([1], as: "k", for: session.id, lifetime: .seconds(1_000_000)))
        fixture.advance(milliseconds: 100_000)
        #expect(try sessions.cached("k", for: session.id) == nil)
        #expect(try sessions.entries.count() == 0)
        try store.close()
    }

    /// Without its activity a session is as good as expired, and `verify` took it for that.
    @Test func lostActivitiesAreNoticed() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let sessions = try store.sessions("s")
        let expiries = [
            SessionExpiry(idle: nil, absolute: nil), SessionExpiry(idle: .seconds(1000), absolute: nil),
            SessionExpiry(idle: nil, absolute: .seconds(1000)),
            SessionExpiry(idle: .seconds(1000), absolute: .seconds(1200)),
        ]
        for expiry in expiries {
            let session = try sessions.create(user: "ada", expiry: expiry)
            #expect(try store.verify().isSound)
            let key = SessionKey.activity(session.id)
            try sessions.entries.delete(key)
            #expect(try store.verify().problems.map(\.message) == ["its activity is missing"])
            // When it would have expired anyway nothing is missing.
            if expiry != expiries[0] {
                fixture.advance(milliseconds: 1_000_000)
                #expect(try store.verify().isSound)
            } else {
                try sessions.end(session.id)
            }
        }
        try store.close()
    }

    @Test func sessionsAreAssignedToUsers() throws {
        let fixture = StoreFixture()
        let store = try fixture.open()
        let sessions = try store.sessions("s", resolution: .zero)
        let session = try sessions.create(data: [7])
        fixture.advance(milliseconds: 100_000)
        #expect(try sessions.assign(session.id, to: "ada"))
        #expect(try sessions.list(of: "").isEmpty)
        #expect(try sessions.list(of: "ada").map(\.data) == [[7]])
        #expect(try sessions.load(session.id)?.lastActive == store.time)
        #expect(try sessions.assign(session.id, to: "ada"))
        #expect(try sessions.list(of: "ada").count == 1)
        #expect(try store.verify().problems == [])
        try sessions.end(session.id)
        #expect(try !sessions.assign(session.id, to: "eve"))
        #expect(try sessions.list(of: "eve").isEmpty && sessions.list(of: "ada").isEmpty)
        try store.close()
    }
}
