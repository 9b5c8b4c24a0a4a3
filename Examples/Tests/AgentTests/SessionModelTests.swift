// Sessions, their cache and preferences against the tables that such programs keep them in, under one clock.

import Apus
import ApusSimulation
import ApusStore
import Testing

@testable import agent

@Suite struct SessionModelTests {
    private static let schema = """
        CREATE TABLE session (
            id TEXT PRIMARY KEY NOT NULL, user TEXT NOT NULL, data TEXT NOT NULL, used INTEGER NOT NULL,
            idle INTEGER NOT NULL, ends INTEGER NOT NULL);
        CREATE INDEX sessionByUser ON session (user);
        CREATE TABLE cache (
            session TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL,
            expires INTEGER NOT NULL, PRIMARY KEY (session, key));
        CREATE TABLE preference (
            user TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (user, key));
        """
    private static let visible = "used + idle > ? AND ends > ?"

    @Test(arguments: [1, 2, 3] as [UInt64])
    func sessionsEndAsInSQLite(seed: UInt64) throws {
        var random = TestRandom(seed: seed)
        let machine = Simulation(seed: seed)
        let store = try Store.open(
            at: "/s", options: Options(memoryBudget: 1 << 20), environment: machine.environment)
        let sessions = try store.sessions("web", resolution: .zero)
        let sqlite = try SQLitePeer()
        for statement in Self.schema.split(separator: ";") { try sqlite.execute("\(statement)", []) }
        var ids: [SessionID] = []
        var now: Field { .integer(Int64(store.time)) }

        for _ in 0..<600 {
            let user = random.element(["ada", "bob", "cy"])
            let key = random.element(["a", "b"])
            let value = "\(random.below(1000))"
            switch random.below(9) {
            case 0, 1:
                let (idle, absolute) = (1 + random.below(20), 1 + random.below(60))
                let expiry = SessionExpiry(idle: .seconds(idle), absolute: .seconds(absolute))
                let session = try sessions.create(user: user, data: Array(value.utf8), expiry: expiry)
                ids.append(session.id)
                try sqlite.execute(
                    "INSERT INTO session VALUES (?, ?, ?, ?, ?, ?)",
                    [
                        .text("\(session.id)"), .text(user), .text(value), now, .integer(Int64(idle) * 1000),
                        .integer(Int64(store.time) + Int64(absolute) * 1000),
                    ])
            case 2: machine.clock.advance(nanoseconds: UInt64(random.below(4000)) * 1_000_000)
            case 3:
                try sessions.setPreference(key, to: Array(value.utf8), of: user)
                try sqlite.execute(
                    "INSERT INTO preference VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                    [.text(user), .text(key), .text(value)])
            case 4 where random.chance(30):
                let ended = try sessions.endAll(of: user)
                let there = try sqlite.lines(
                    "SELECT id FROM session WHERE user = ? AND \(Self.visible)", [.text(user), now, now])
                #expect(ended == there.count, "seed \(seed)")
                try sqlite.execute("DELETE FROM session WHERE user = ?", [.text(user)])
            default:
                guard !ids.isEmpty else { continue }
                let id = random.element(ids)
                let row = try sqlite.lines(
                    "SELECT data FROM session WHERE id = ? AND \(Self.visible)", [.text("\(id)"), now, now])
                let isThere: Bool
                switch random.below(4) {
                case 0:
                    isThere = try sessions.touch(id)
                    if isThere { try touch(id, now, sqlite) }
                case 1:
                    isThere = try sessions.update(id, data: Array(value.utf8))
                    if isThere {
                        try touch(id, now, sqlite)
                        try sqlite.execute("UPDATE session SET data = ? WHERE id = ?", [.text(value), .text("\(id)")])
                    }
                case 2:
                    let lifetime = 1 + random.below(20)
                    isThere = try sessions.cache(
                        Array(value.utf8), as: key, for: id, lifetime: .seconds(lifetime))
                    if isThere {
                        try sqlite.execute(
                            "INSERT INTO cache VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value, "
                                + "expires = excluded.expires",
                            [
                                .text("\(id)"), .text(key), .text(value),
                                .integer(Int64(store.time) + Int64(lifetime) * 1000),
                            ])
                    }
                default:
                    isThere = try sessions.load(id) != nil
                    let cached = try sessions.cached(key, for: id).map { String(decoding: $0, as: UTF8.self) }
                    let expected = try sqlite.lines(
                        "SELECT value FROM cache JOIN session ON id = session WHERE session = ? AND key = ? AND "
                            + "expires > ? AND \(Self.visible)", [.text("\(id)"), .text(key), now, now, now])
                    #expect(expected == (cached.map { [[.text($0)]] } ?? []), "seed \(seed)")
                }
                #expect(isThere == !row.isEmpty, "seed \(seed): session \(id)")
            }
            try compare(sessions, sqlite, user, now, seed)
        }
        #expect(try store.verify().isSound)
    }

    private func touch(_ id: SessionID, _ now: Field, _ sqlite: SQLitePeer) throws {
        try sqlite.execute("UPDATE session SET used = ? WHERE id = ?", [now, .text("\(id)")])
    }

    private func compare(
        _ sessions: SessionCollection, _ sqlite: SQLitePeer, _ user: String, _ now: Field, _ seed: UInt64
    ) throws {
        func lines(_ sessions: [Session]) -> [[Field]] {
            sessions.map { [.text("\($0.id)"), .text(String(decoding: $0.data, as: UTF8.self))] }
        }
        let order = "ORDER BY used DESC, id"
        #expect(
            try lines(sessions.list(of: user))
                == sqlite.lines(
                    "SELECT id, data FROM session WHERE user = ? AND \(Self.visible) \(order)",
                    [.text(user), now, now]), "seed \(seed)")
        #expect(
            try lines(sessions.recent(limit: 5))
                == sqlite.lines(
                    "SELECT id, data FROM session WHERE \(Self.visible) \(order) LIMIT 5", [now, now]), "seed \(seed)")
        let preferences = try sessions.preferences(of: user).sorted { $0.key < $1.key }.map { key, value in
            [Field.text(key), .text(String(decoding: value, as: UTF8.self))]
        }
        #expect(
            try preferences
                == sqlite.lines("SELECT key, value FROM preference WHERE user = ? ORDER BY key", [.text(user)]),
            "seed \(seed)")
    }
}
