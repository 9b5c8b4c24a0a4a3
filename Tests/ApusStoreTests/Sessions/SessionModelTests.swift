// Random histories of sessions beside a plain dictionary, with a clock that moves and crashes.

import Apus
import Testing

@testable import ApusStore

@Suite struct SessionModelTests {
    @Test(arguments: 0..<12 as Range<UInt64>)
    func storeAndModelAgree(seed: UInt64) throws {
        try SessionHistory(seed: seed).run(steps: 200)
    }
}

/// One random history. Every commit is durable, so a crash takes nothing.
private final class SessionHistory {
    struct Model {
        var user: String
        var data: [UInt8]
        var lastActive: UInt64
        var idle: UInt64
        var end: UInt64
        var cache: [String: (value: [UInt8], expires: UInt64)] = [:]

        var expires: UInt64 { min(idle == 0 ? .max : lastActive + idle, end == 0 ? .max : end) }
    }

    let seed: UInt64
    let fixture: StoreFixture
    var random: TestRandom
    var store: Store
    var sessions: SessionCollection
    var model: [SessionID: Model] = [:]
    var preferences: [String: [String: [UInt8]]] = [:]
    var steps: [String] = []

    init(seed: UInt64) throws {
        self.seed = seed
        random = TestRandom(seed: seed &* 104_729 &+ 3)
        fixture = StoreFixture(seed: seed)
        store = try fixture.open()
        sessions = try store.sessions("s", resolution: .zero)
    }

    func run(steps count: Int) throws {
        do {
            for _ in 0..<count { try step() }
            try check()
            try store.close()
        } catch {
            Issue.record("seed \(seed), after \(steps.suffix(20)): \(error)")
            throw error
        }
    }

    private var now: UInt64 { store.time }
    private var alive: [SessionID: Model] { model.filter { $0.value.expires > now } }
    private func anyID() -> SessionID? { model.keys.sorted().randomElement(using: &random) }
    private func anyUser() -> String { ["", "a", "ab", "b\u{0}", "é"][random.below(5)] }

    private func step() throws {
        switch random.below(100) {
        case ..<20: try create()
        case ..<45: try touch()
        case ..<52: try update()
        case ..<60: try end()
        case ..<68: try cache()
        case ..<74: try prefer()
        case ..<90:
            // From moments to several idle times.
            let milliseconds = UInt64(random.below([10, 1000, 100_000, 1_000_000][random.below(4)]))
            steps.append("pass \(milliseconds)")
            fixture.advance(milliseconds: milliseconds)
        case ..<94: try check()
        case ..<97:
            steps.append("compact")
            try store.database.compact()
        default:
            steps.append("crash")
            fixture.crash(store)
            store = try fixture.open()
            sessions = try store.sessions("s", resolution: .zero)
            try check()
        }
    }

    private func create() throws {
        let idle = [0, 1000, 50_000, 400_000][random.below(4)]
        let absolute = [0, 0, 30_000, 2_000_000][random.below(4)]
        let expiry = SessionExpiry(
            idle: idle == 0 ? nil : .milliseconds(idle), absolute: absolute == 0 ? nil : .milliseconds(absolute))
        let user = anyUser()
        let data = random.bytes(random.below(200))
        steps.append("create \(user) \(idle) \(absolute)")
        let session = try sessions.create(user: user, data: data, expiry: expiry)
        model[session.id] = Model(
            user: user, data: data, lastActive: now, idle: UInt64(idle), end: absolute == 0 ? 0 : now + UInt64(absolute)
        )
    }

    private func touch() throws {
        guard let id = anyID() else { return }
        let isAlive = alive[id] != nil
        steps.append("touch \(id), \(isAlive)")
        switch random.below(3) {
        case 0: #expect(try sessions.touch(id, durability: .durable) == isAlive)
        case 1: #expect(try store.transaction { try sessions.touch(id, in: $0) } == isAlive)
        default:
            #expect((try sessions.load(id, touching: true) != nil) == isAlive)
            try store.database.synchronize()
        }
        if isAlive { model[id]!.lastActive = now }
    }

    private func update() throws {
        guard let id = anyID() else { return }
        let isAlive = alive[id] != nil
        let data = random.bytes(random.below(300))
        steps.append("update \(id), \(isAlive)")
        #expect(try sessions.update(id, data: data) == isAlive)
        if isAlive {
            model[id]!.data = data
            model[id]!.lastActive = now
        }
    }

    private func end() throws {
        if random.below(4) == 0 {
            let user = anyUser()
            let ids = alive.filter { $0.value.user == user }.keys
            steps.append("end all of \(user)")
            #expect(try sessions.endAll(of: user) == ids.count)
            for id in ids { model[id] = nil }
            return
        }
        guard let id = anyID() else { return }
        let isAlive = alive[id] != nil
        steps.append("end \(id), \(isAlive)")
        #expect(try sessions.end(id) == isAlive)
        model[id] = nil
    }

    private func cache() throws {
        guard let id = anyID() else { return }
        let isAlive = alive[id] != nil
        let key = ["x", "xy", "z"][random.below(3)]
        if random.below(4) == 0 {
            steps.append("remove cached \(key) of \(id)")
            try sessions.removeCached(key, for: id, durability: .durable)
            model[id]!.cache[key] = nil
            return
        }
        let lifetime = UInt64(1 + random.below(100_000))
        let value = random.bytes(random.below(50))
        steps.append("cache \(key) for \(id), \(isAlive)")
        let isCached = try sessions.cache(
            value, as: key, for: id, lifetime: .milliseconds(Int64(lifetime)), durability: .durable)
        #expect(isCached == isAlive)
        if isAlive { model[id]!.cache[key] = (value, now + lifetime) }
    }

    private func prefer() throws {
        let user = anyUser()
        let key = ["p", "pq"][random.below(2)]
        steps.append("prefer \(key) of \(user)")
        if random.below(3) == 0 {
            try sessions.removePreference(key, of: user)
            preferences[user]?[key] = nil
        } else {
            let value = random.bytes(random.below(20))
            try sessions.setPreference(key, to: value, of: user)
            preferences[user, default: [:]][key] = value
        }
    }

    private func check() throws {
        steps.append("check")
        let alive = alive
        for (id, expected) in model {
            let session = try sessions.load(id)
            #expect((session != nil) == (alive[id] != nil), "seed \(seed): \(id)")
            if let session {
                #expect(session.user == expected.user && session.data == expected.data)
                #expect(session.lastActive == expected.lastActive)
                #expect(session.expires == (expected.expires == .max ? nil : expected.expires))
            }
            for key in ["x", "xy", "z"] {
                let cached = expected.cache[key].flatMap { $0.expires > now && session != nil ? $0.value : nil }
                #expect(try sessions.cached(key, for: id) == cached)
            }
        }
        let order = alive.sorted { ($1.value.lastActive, $0.key) < ($0.value.lastActive, $1.key) }
        #expect(try sessions.recent(limit: .max).map(\.id) == order.map(\.key), "seed \(seed)")
        let limit = random.below(order.count + 1)
        #expect(try sessions.recent(limit: limit).map(\.id) == order.prefix(limit).map(\.key))
        for user in ["", "a", "ab", "b\u{0}", "é"] {
            #expect(try sessions.list(of: user).map(\.id) == order.filter { $0.value.user == user }.map(\.key))
            #expect(try sessions.preferences(of: user) == preferences[user] ?? [:])
        }
        let report = try store.verify()
        #expect(report.isSound, "seed \(seed): \(report.problems) \(report.database.problems)")
    }
}
