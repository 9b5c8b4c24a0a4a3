// Sessions: their life and their end, each behaviour by itself.

import Apus
import Testing

@testable import ApusStore

@Suite struct SessionTests {
    private let fixture = StoreFixture()

    private func open(
        idle: Duration? = .seconds(100), absolute: Duration? = nil, resolution: Duration = .zero
    ) throws -> (Store, SessionCollection) {
        let store = try fixture.open()
        let expiry = SessionExpiry(idle: idle, absolute: absolute)
        return (store, try store.sessions("s", expiry: expiry, resolution: resolution))
    }

    @Test func sessionsHoldWhatTheyWereGiven() throws {
        let (store, sessions) = try open()
        let start = store.time
        let session = try sessions.create(user: "ada", data: [1, 2, 3])
        #expect(session.user == "ada" && session.data == [1, 2, 3])
        #expect(session.created == start && session.lastActive == start && session.expires == start + 100_000)
        #expect(try sessions.load(session.id) == session)
        #expect(SessionID(session.id.description) == session.id)
        fixture.advance(milliseconds: 10)
        #expect(try sessions.update(session.id, data: [4]))
        let updated = try #require(try sessions.load(session.id))
        #expect(updated.data == [4] && updated.lastActive == start + 10)
        #expect(try sessions.load(SessionID(high: 1, low: 2)) == nil)
        #expect(
            try !sessions.touch(SessionID(high: 1, low: 2)) && !sessions.update(SessionID(high: 1, low: 2), data: []))
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func idleSessionsEndUnlessTheyAreTouched() throws {
        let (store, sessions) = try open()
        let touched = try sessions.create()
        let loaded = try sessions.create()
        let idle = try sessions.create()
        for _ in 0..<20 {
            fixture.advance(milliseconds: 99_999)
            #expect(try sessions.touch(touched.id))
            #expect(try sessions.load(loaded.id, touching: true)?.lastActive == store.time)
            #expect(try store.verify().problems == [])
        }
        #expect(try sessions.load(idle.id) == nil && !sessions.touch(idle.id))
        #expect(try sessions.load(touched.id)?.expires == store.time + 100_000)
        fixture.advance(milliseconds: 99_999)
        #expect(try sessions.load(touched.id) != nil)
        fixture.advance(milliseconds: 1)
        #expect(try sessions.load(touched.id) == nil && !sessions.touch(touched.id))
        #expect(try !sessions.update(touched.id, data: []) && !sessions.end(touched.id))
        try store.close()
    }

    @Test func nothingLastsLongerThanItsAbsoluteExpiry() throws {
        let (store, sessions) = try open(absolute: .seconds(250))
        let start = store.time
        let session = try sessions.create()
        for _ in 0..<3 {
            fixture.advance(milliseconds: 80_000)
            #expect(try sessions.touch(session.id))
        }
        #expect(try sessions.load(session.id)?.expires == start + 250_000)
        fixture.advance(milliseconds: 10_000)
        #expect(try sessions.load(session.id) == nil)
        // One of its own; and one that never expires.
        let brief = try sessions.create(expiry: SessionExpiry(idle: nil, absolute: .seconds(1)))
        let lasting = try sessions.create(expiry: SessionExpiry(idle: nil, absolute: nil))
        #expect(lasting.expires == nil)
        fixture.advance(milliseconds: 1000)
        #expect(try sessions.load(brief.id) == nil)
        fixture.advance(milliseconds: 10_000_000_000)
        #expect(try sessions.load(lasting.id, touching: true)?.lastActive == store.time)
        #expect(try sessions.recent(limit: 10).map(\.id) == [lasting.id])
        let error = #expect(throws: StoreError.self) {
            try sessions.create(expiry: SessionExpiry(idle: .zero))
        }
        #expect(error?.kind == .invalidArgument)
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func frequentTouchesWriteNothing() throws {
        let (store, sessions) = try open(resolution: .seconds(1))
        let session = try sessions.create()
        func sequence() throws -> UInt64 {
            let snapshot = try store.database.snapshot()
            defer { snapshot.release() }
            return snapshot.sequence
        }
        let before = try sequence()
        for _ in 0..<9 {
            fixture.advance(milliseconds: 100)
            #expect(try sessions.touch(session.id))
        }
        #expect(try sequence() == before)
        fixture.advance(milliseconds: 100)
        #expect(try sessions.touch(session.id))
        #expect(try sequence() > before && sessions.load(session.id)?.lastActive == store.time)
        try store.close()
    }

    @Test func touchesDoNotWriteTheData() throws {
        let (store, sessions) = try open()
        let session = try sessions.create(data: [UInt8](repeating: 7, count: 10_000))
        let record = try sessions.entries.get(SessionKey.record(session.id))
        var rewrites = 0
        for _ in 0..<100 {
            fixture.advance(milliseconds: 10_000)
            try sessions.touch(session.id)
            if try sessions.entries.get(SessionKey.record(session.id)) != record { rewrites += 1 }
        }
        // 1,000 seconds are ten idle times; the record was written again and then stayed for a while.
        let last = try #require(try sessions.record(of: session.id, in: store))
        #expect(last.keptUntil >= store.time + 100_000 && last.data.count == 10_000 && rewrites > 0)
        try store.close()
    }

    @Test func listsAreInTheOrderOfLastUse() throws {
        let (store, sessions) = try open(idle: .seconds(1000))
        var ids: [SessionID] = []
        for index in 0..<12 {
            ids.append(try sessions.create(user: index % 2 == 0 ? "ada" : "ada2").id)
            fixture.advance(milliseconds: 50_000)
        }
        try sessions.touch(ids[3])
        fixture.advance(milliseconds: 1)
        try sessions.touch(ids[2])
        let expected = [2, 3, 11, 10, 9, 8, 7, 6, 5, 4, 1, 0].map { ids[$0] }
        #expect(try sessions.recent(limit: 100).map(\.id) == expected)
        for limit in 0..<13 { #expect(try sessions.recent(limit: limit).map(\.id) == Array(expected.prefix(limit))) }
        #expect(try sessions.list(of: "ada").map(\.id) == [2, 10, 8, 6, 4, 0].map { ids[$0] })
        #expect(try sessions.list(of: "ad") == [] && sessions.list(of: "") == [])
        fixture.advance(milliseconds: 1_000_000 - 1)
        #expect(try sessions.recent(limit: 100).map(\.id) == [ids[2]])
        #expect(try sessions.list(of: "ada").map(\.id) == [ids[2]] && sessions.list(of: "ada2") == [])
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func sessionsAreEnded() throws {
        let (store, sessions) = try open()
        let one = try sessions.create(user: "ada")
        let two = try sessions.create(user: "ada")
        let other = try sessions.create(user: "grace")
        try sessions.cache([1], as: "k", for: one.id, lifetime: .seconds(10))
        #expect(try sessions.end(one.id) && !sessions.end(one.id))
        #expect(try sessions.load(one.id) == nil && sessions.cached("k", for: one.id) == nil)
        #expect(try sessions.list(of: "ada").map(\.id) == [two.id])
        _ = try sessions.create(user: "ada")
        #expect(try sessions.endAll(of: "ada") == 2 && sessions.endAll(of: "ada") == 0)
        #expect(try sessions.recent(limit: 10).map(\.id) == [other.id])
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func cachesEndOnTheirOwnAndWithTheirSession() throws {
        let (store, sessions) = try open()
        let session = try sessions.create()
        let other = try sessions.create()
        #expect(try sessions.cache([1], as: "short", for: session.id, lifetime: .seconds(10)))
        #expect(try sessions.cache([2], as: "long", for: session.id, lifetime: .seconds(1000)))
        #expect(try sessions.cached("short", for: session.id) == [1])
        #expect(try sessions.cached("short", for: other.id) == nil && sessions.cached("none", for: session.id) == nil)
        let snapshot = try store.snapshot()
        fixture.advance(milliseconds: 10_000)
        #expect(try sessions.cached("short", for: session.id) == nil && sessions.cached("long", for: session.id) == [2])
        #expect(try sessions.cached("short", for: session.id, in: snapshot) == [1])
        snapshot.release()
        try sessions.removeCached("long", for: session.id)
        #expect(try sessions.cached("long", for: session.id) == nil)
        #expect(try sessions.cache([3], as: "long", for: session.id, lifetime: .seconds(1000)))
        fixture.advance(milliseconds: 90_000)
        #expect(try sessions.cached("long", for: session.id) == nil)
        #expect(try !sessions.cache([3], as: "late", for: session.id, lifetime: .seconds(1000)))
        for (key, lifetime) in [("", Duration.seconds(1)), ("k", .zero)] {
            let error = #expect(throws: StoreError.self) {
                try sessions.cache([], as: key, for: session.id, lifetime: lifetime)
            }
            #expect(error?.kind == .invalidArgument)
        }
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func preferencesStay() throws {
        let (store, sessions) = try open()
        try sessions.setPreference("theme", to: [1], of: "ada")
        try sessions.setPreference("font", to: [2], of: "ada")
        try sessions.setPreference("theme", to: [3], of: "ada\u{0}")
        #expect(try sessions.preference("theme", of: "ada") == [1])
        #expect(try sessions.preferences(of: "ada") == ["theme": [1], "font": [2]])
        fixture.advance(milliseconds: 100_000_000_000)
        try sessions.removePreference("font", of: "ada")
        try store.transaction { transaction in
            try sessions.setPreference("size", to: [4], of: "ada", in: transaction)
            #expect(try sessions.preference("size", of: "ada", in: transaction) == [4])
        }
        #expect(try sessions.preferences(of: "ada") == ["theme": [1], "size": [4]])
        #expect(try sessions.preferences(of: "ada\u{0}") == ["theme": [3]] && sessions.preferences(of: "x").isEmpty)
        #expect(throws: StoreError.self) { try sessions.setPreference("", to: [], of: "ada") }
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func expiredSessionsAreReclaimed() throws {
        let (store, sessions) = try open()
        for index in 0..<100 {
            let session = try sessions.create(user: "u\(index)", data: [UInt8](repeating: 1, count: 100))
            try sessions.cache([1], as: "k", for: session.id, lifetime: .seconds(5))
        }
        try store.database.flush()
        fixture.advance(milliseconds: 300_000)
        #expect(try sessions.entries.count() == 0)
        try store.database.compact()
        #expect(try store.verify().database.entries < 20)
        try store.close()
    }

    @Test func relaxedTouchesSurviveTheEndOfTheProcess() throws {
        let id: SessionID
        do {
            let (_, sessions) = try open()
            id = try sessions.create(user: "ada").id
            fixture.advance(milliseconds: 90_000)
            try sessions.touch(id)
            fixture.restart(sessions.store)
        }
        fixture.advance(milliseconds: 90_000)
        let (store, sessions) = try open()
        #expect(try sessions.load(id)?.user == "ada")
        #expect(try store.verify().problems == [])
        try store.close()
    }

    @Test func damageIsReported() throws {
        let (store, sessions) = try open()
        let session = try sessions.create(user: "ada")
        try sessions.cache([1], as: "k", for: session.id, lifetime: .seconds(10))
        try sessions.setPreference("theme", to: [1], of: "ada")
        #expect(try store.verify().isSound)
        func damage(_ key: [UInt8], _ value: [UInt8]?) throws {
            let before = try sessions.entries.get(key)
            if let value { try sessions.entries.put(key, value) } else { try sessions.entries.delete(key) }
            #expect(try store.verify().problemCount > 0, "\(key)")
            if let before { try sessions.entries.put(key, before) } else { try sessions.entries.delete(key) }
            #expect(try store.verify().isSound)
        }
        let id = session.id
        for key in [SessionKey.user("ada", id), SessionKey.recency(session.lastActive, id)] { try damage(key, nil) }
        for key in [SessionKey.record(id), SessionKey.activity(id)] { try damage(key, [1]) }
        try damage(SessionKey.user("eve", id), [])
        try damage([SessionTag.recency, 1], [])
        try damage(SessionKey.cache(id), [])
        try damage([SessionTag.preference, 1], [])
        try damage([99], [])
        try sessions.entries.put(SessionKey.record(id), [1])
        let error = #expect(throws: StoreError.self) { try sessions.load(id) }
        #expect(error?.kind == .corruption && error?.key == id.description && error?.collection == "session:s")
        try store.close()
    }
}
