// The fixed workload of the anomaly sweep: small, and yet it comes through every part of the engine that makes calls to
// the disk. That it does is checked by `AnomalySweepTests.workload`.

import ApusSimulation

@testable import Apus

/// The keyspaces of the workload.
enum AnomalyKeyspace: String {
    /// Many versions, deletions, range deletions.
    case plain
    /// Values in blob files.
    case large
    case counts
    /// Everything expires.
    case brief
    /// Tables are dropped for their size.
    case journal
    /// Is dropped.
    case doomed

    var options: KeyspaceOptions {
        switch self {
        case .plain: KeyspaceOptions(compression: .none)
        case .large: KeyspaceOptions(compression: .lz4ThenZstd, valueSeparationThreshold: 40)
        case .counts: KeyspaceOptions(mergeOperator: .add)
        case .brief: KeyspaceOptions(timeToLive: .seconds(10))
        case .journal: KeyspaceOptions(compaction: .fifo(maximumByteCount: 2_500))
        case .doomed: KeyspaceOptions(compression: .zstd)
        }
    }

    func model(handle: Keyspace) -> ModelKeyspace {
        ModelKeyspace(rawValue, options, self == .counts ? .add : nil, handle: handle)
    }
}

/// One change of the workload.
enum AnomalyWrite {
    case put(Int, byteCount: Int)
    case delete(Int)
    case deleteRange(Int, Int)
    case merge(Int, UInt8)

    static func key(_ number: Int) -> [UInt8] { Array("key-\(100 + number)".utf8) }

    /// Bytes that no codec makes much smaller, and that differ from those of any other write.
    private func value(_ number: Int, _ byteCount: Int) -> [UInt8] {
        var random = TestRandom(seed: UInt64(number * 1_000 + byteCount))
        return random.bytes(byteCount)
    }

    private var operand: [UInt8] {
        if case .merge(_, let amount) = self { return [amount, 0, 0, 0, 0, 0, 0, 0] }
        return []
    }

    func change(in keyspace: ModelKeyspace, now: UInt64) -> ModelChange {
        switch self {
        case .put(let number, let count):
            let expiresAt = keyspace.options.timeToLive.map { now + $0.milliseconds } ?? 0
            return .put(key: Self.key(number), value: value(number, count), expiresAt: expiresAt)
        case .delete(let number): return .delete(key: Self.key(number))
        case .deleteRange(let start, let end): return .deleteRange(start: Self.key(start), end: Self.key(end))
        case .merge(let number, _):
            return .merge(key: Self.key(number), operand: operand, writtenAt: now, expiresAt: 0)
        }
    }

    func perform(in keyspace: Keyspace, _ durability: Durability) throws(ApusError) {
        switch self {
        case .put(let number, let count):
            try keyspace.put(Self.key(number), value(number, count), durability: durability)
        case .delete(let number): try keyspace.delete(Self.key(number), durability: durability)
        case .deleteRange, .merge: preconditionFailure("only puts and deletes go alone")
        }
    }

    func add(to batch: inout WriteBatch, _ keyspace: Keyspace) {
        switch self {
        case .put(let number, let count): batch.put(Self.key(number), value(number, count), in: keyspace)
        case .delete(let number): batch.delete(Self.key(number), in: keyspace)
        case .deleteRange(let start, let end):
            batch.deleteRange(from: Self.key(start), to: Self.key(end), in: keyspace)
        case .merge(let number, _): batch.merge(Self.key(number), operand, in: keyspace)
        }
    }
}

enum AnomalyWorkload {
    struct Step: Sendable {
        let name: String
        /// How many background jobs get their turn after it, if there are any.
        var backgroundJobs = 1
        let run: @Sendable (AnomalyRun) throws -> Void
    }

    static let steps: [Step] = creation + growth + maintenance + ends

    private static func commit(
        _ name: String, _ durability: Durability, jobs: Int = 1, _ writes: [(String, AnomalyWrite)]
    ) -> Step {
        Step(name: name, backgroundJobs: jobs) { try $0.commit(durability, writes) }
    }

    private static func alone(
        _ name: String, _ durability: Durability, jobs: Int = 1, _ keyspace: AnomalyKeyspace, _ write: AnomalyWrite
    ) -> Step {
        Step(name: name, backgroundJobs: jobs) { try $0.commitAlone(durability, keyspace.rawValue, write) }
    }

    private static func create(_ keyspace: AnomalyKeyspace) -> Step {
        Step(name: "create \(keyspace)") { try $0.create(keyspace) }
    }

    private static let look = Step(name: "look at everything") { try $0.compare() }
    private static let open = Step(name: "open") { try $0.open() }
    private static let close = Step(name: "close") { try $0.close() }

    private static let creation: [Step] =
        [open] + [.plain, .large, .counts, .brief, .journal, .doomed].map(create) + [
            alone("first commit", .durable, .plain, .put(0, byteCount: 20)),
            commit(
                "batch", .relaxed,
                [
                    ("plain", .put(1, byteCount: 30)), ("large", .put(1, byteCount: 120)), ("counts", .merge(0, 1)),
                    ("brief", .put(1, byteCount: 10)), ("doomed", .put(0, byteCount: 50)),
                ]),
        ]

    /// A batch across the keyspaces, different in every round; or, in some, an entry by itself of about as many bytes.
    private static func round(_ number: Int, _ durability: Durability, jobs: Int) -> Step {
        let key = number * 7 % 19
        switch number {
        case 3, 8: return alone("round \(number)", durability, jobs: jobs, .plain, .put(key, byteCount: 700 + number))
        case 12, 16: return alone("round \(number)", durability, jobs: jobs, .large, .put(key, byteCount: 700 + number))
        case 6, 17: return alone("round \(number)", durability, jobs: jobs, .plain, .delete(key))
        default: break
        }
        return commit(
            "round \(number)", durability, jobs: jobs,
            [
                ("plain", .put(key, byteCount: 60 + number)), ("plain", .put(key + 1, byteCount: 90 + number)),
                ("plain", number % 5 == 4 ? .deleteRange(key, key + 4) : .delete(key + 2)),
                ("large", .put(key % 6, byteCount: 150 + number)), ("counts", .merge(key % 3, UInt8(number + 1))),
                ("brief", .put(key, byteCount: 30 + number)), ("journal", .put(number, byteCount: 200)),
            ])
    }

    private static let growth: [Step] =
        [
            Step(name: "snapshot") { run in
                let snapshot = try run.database!.snapshot()
                run.snapshot = (snapshot, run.lastSequence, run.now)
            }
        ]
        + (0..<14).map { round($0, $0 % 3 == 0 ? .durable : .relaxed, jobs: $0 % 4) }
        + [
            look, Step(name: "release the snapshot") { $0.snapshot = nil },
            Step(name: "flush") { try $0.database!.flush() },
        ]

    private static let maintenance: [Step] =
        (14..<20).map { round($0, .relaxed, jobs: 2) } + [
            Step(name: "synchronize") { run in
                try run.database!.synchronize()
                run.durableSequence = run.lastSequence
            },
            Step(name: "drop doomed") { try $0.drop("doomed") },
            Step(name: "time passes", backgroundJobs: 9) { $0.machine.scheduler.runAll(for: 11_000_000_000) },
            Step(name: "compact", backgroundJobs: 9) { try $0.database!.compact() },
            look,
            // Only one of the large values stays as it is: the rest of its blob file is garbage.
            commit("garbage", .durable, (0..<5).map { ("large", .put($0, byteCount: 170)) }),
            Step(name: "flush the garbage", backgroundJobs: 9) { try $0.database!.flush() },
            Step(name: "compact the garbage", backgroundJobs: 9) { try $0.database!.compact() },
            alone("last relaxed commit", .relaxed, jobs: 0, .plain, .put(3, byteCount: 33)),
            look, close, open, look,
        ]

    private static let ends: [Step] = [
        commit(
            "commit to be replayed", .durable, jobs: 0,
            [("plain", .put(4, byteCount: 44)), ("large", .put(0, byteCount: 99)), ("counts", .merge(1, 9))]),
        commit(
            "relaxed commit", .relaxed, jobs: 0, [("plain", .deleteRange(9, 14)), ("brief", .put(2, byteCount: 8))]),
        Step(name: "kill") { $0.kill(nil) },
        Step(name: "open read-only") { try $0.readOnly() },
        Step(name: "salvage") { try $0.salvage() },
        open, look,
        alone("commit before the power loss", .durable, jobs: 0, .large, .put(2, byteCount: 88)),
        alone("deletion that may go", .relaxed, jobs: 0, .plain, .delete(4)),
        alone("another that may go", .relaxed, jobs: 0, .large, .delete(2)),
        Step(name: "power loss") { $0.kill(.anyNames) },
        open, look, close,
        Step(name: "open read-only after close") { try $0.readOnly() },
        open,
        commit("commit at the end", .relaxed, [("plain", .put(5, byteCount: 55)), ("counts", .merge(0, 7))]),
    ]
}
