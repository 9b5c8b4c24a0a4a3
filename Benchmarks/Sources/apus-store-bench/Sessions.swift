// Sessions: what a server does with every request, beside the rate that it has to reach.

import Apus
import ApusStore

func runSessions(_ bench: Bench) throws {
    let count = bench.scaled(200_000)
    let operations = bench.scaled(500_000)
    let folder = try bench.folder.subfolder("sessions")
    let store = try Store.open(at: "\(folder.path)/db", options: Options(durability: .relaxed))
    defer { try? store.close() }
    // A resolution of zero: every touch is written.
    let sessions = try store.sessions(
        "web", expiry: SessionExpiry(idle: .seconds(1800), absolute: .seconds(86_400)), resolution: .zero)
    let data = [UInt8](repeating: UInt8(ascii: "x"), count: 200)
    var random = RandomIndexes(seed: 1)
    var ids: [SessionID] = []

    func someIDs() -> [SessionID] {
        // Another session each time, as requests come in.
        (0..<operations).map { _ in ids[random.below(ids.count)] }
    }
    func rate(_ perSecond: Int) -> Contender {
        Contender("at least", target: 1) { _ in [Sample(operations: perSecond, seconds: 1)] }
    }

    let seconds = try secondsOf {
        for index in 0..<count {
            ids.append(try sessions.create(user: "user \(index % 50_000)", data: data).id)
        }
    }
    try bench.compare(
        "create, relaxed",
        [Contender("ApusStore") { _ in [Sample(operations: count, seconds: seconds)] }])

    var picked: [SessionID] = []
    try bench.compare(
        "load + touch, relaxed, \(count) sessions",
        [
            Contender(
                "ApusStore", prepare: { _ in picked = someIDs() },
                run: { _ in
                    for id in picked {
                        guard let session = try sessions.load(id, touching: true) else {
                            throw BenchFailure("a session is gone")
                        }
                        keep(session)
                    }
                    return picked.count
                }),
            rate(300_000),
        ])
    try bench.compare(
        "load, \(count) sessions",
        [
            Contender(
                "ApusStore", prepare: { _ in picked = someIDs() },
                run: { _ in
                    for id in picked { keep(try sessions.load(id)) }
                    return picked.count
                })
        ])
    try bench.compare(
        "last 50 of everybody",
        [
            Contender("ApusStore") { _ in
                let rounds = 20
                for _ in 0..<rounds { keep(try sessions.recent(limit: 50)) }
                return rounds
            }
        ])
    try bench.compare(
        "sessions of a user",
        [
            Contender("ApusStore") { _ in
                let rounds = 20_000
                for index in 0..<rounds { keep(try sessions.list(of: "user \(index % 50_000)")) }
                return rounds
            }
        ])
}

/// SplitMix64.
private struct RandomIndexes {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((word ^ (word >> 31)) % UInt64(bound))
    }
}
