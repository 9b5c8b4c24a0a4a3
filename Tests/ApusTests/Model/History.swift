// One random history: an engine on a simulated machine and the model beside it, driven through the same operations.
// Everything follows from the seed, so a failing history is run again by its number. Each step draws from a generator of
// its own, so steps can be left out and the others stay what they are: that is how a failing history is shrunk.

import ApusIO
import ApusSimulation

@testable import Apus

struct HistoryFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// A commit as the model knows it.
struct ModelCommit {
    struct Write {
        var keyspace: ModelKeyspace
        var change: ModelChange
    }

    var writes: [Write]
    var first: UInt64
    var last: UInt64 { first + UInt64(writes.count) - 1 }
    /// False if nothing of it goes to the log.
    var isLogged: Bool { writes.contains { !$0.keyspace.isEphemeral } }
}

final class History {
    struct PinnedSnapshot {
        var snapshot: Snapshot
        var sequence: UInt64
        var time: UInt64
    }

    /// A change of the set of keyspaces that a crash may have cut off.
    enum Structural {
        case create(String, KeyspaceOptions, ModelOperator?)
        case drop(String)
        case change(String, KeyspaceOptions)
    }

    static let directory = "/db"

    let seed: UInt64
    var random: TestRandom
    var machine: Simulation
    var shape: HistoryShape
    var database: Database!

    var keyspaces: [ModelKeyspace] = []
    var snapshots: [PinnedSnapshot] = []
    var cursors: [TrackedCursor] = []
    var lastSequence: UInt64 = 0
    /// Ends of the logged commits that were acknowledged, ascending.
    var loggedEnds: [UInt64] = []
    /// Logged commits up to here survive a power loss.
    var durableSequence: UInt64 = 0
    /// What was under way when the machine stopped or a call failed: nothing, one commit, or a group in its order.
    var commitsUnderWay: [ModelCommit] = []
    var structuralUnderWay: Structural?
    /// Calls to the disk have failed, or may, since the database was opened: operations may end in errors.
    var isFaulty = false
    /// A sync may have failed and dropped what was written: not even the page cache is sure to reach the disk.
    var losesCache = false
    /// The steps are over: nothing fails any more.
    var isEnding = false

    private let isTracing: Bool
    private(set) var trace: [String] = []
    /// What reads, cursors and transactions gave, where the shape has a variant.
    private(set) var observations: [String] = []
    /// Which calls of `note` were made: the kinds of operations that this history had.
    private(set) var operationKinds: Set<String> = []
    let isPrinting: Bool
    /// Ends of processes so far: kills and power losses, those of interrupted recoveries included.
    var crashCount = 0

    init(seed: UInt64, isTracing: Bool, isPrinting: Bool = false, variant: HistoryVariant? = nil) {
        self.seed = seed
        self.isTracing = isTracing
        self.isPrinting = isPrinting
        random = TestRandom(seed: seed)
        machine = Simulation(seed: random.next())
        shape = HistoryShape(&random)
        if let variant { shape.apply(variant) }
    }

    func observe(_ text: @autoclosure () -> String) {
        if shape.variant != nil { observations.append(text()) }
    }

    func note(_ text: @autoclosure () -> String, file: String = #fileID, line: Int = #line) {
        if shape.variant != nil { operationKinds.insert("\(file):\(line)") }
        guard isTracing else { return }
        let line = text()
        trace.append(line)
        if isPrinting { print(line) }
    }

    /// How many steps a history of this seed has.
    static func stepCount(seed: UInt64) -> Int { 60 + Int(seed % 4) * 20 }

    /// - Parameter steps: the numbers of the steps to take; all of them if nil.
    func run(steps: [Int]? = nil) throws {
        note("history \(seed): \(shape.options.tuning!), keys \(shape.keys.count)")
        database = try open()
        try createKeyspace()
        for number in steps ?? Array(0..<Self.stepCount(seed: seed)) {
            random = TestRandom(seed: seed &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(number) &* 0xD1B5_4A32_D192_ED03)
            note("step \(number)")
            observe("step \(number)")
            do {
                try step()
            } catch let error as ApusError where !machine.disk.isStopped {
                try survive(error)
            } catch is ApusError {
            }
            if !machine.disk.isStopped { runSomeBackground() }
            if machine.disk.isStopped { try recoverFromStop() }
        }
        try finish()
    }

    func open() throws(ApusError) -> Database {
        try Database.open(at: Self.directory, options: shape.options, environment: machine.environment)
    }

    /// Gives background jobs a turn, sometimes.
    func runSomeBackground() {
        guard random.chance(shape.backgroundPercentage) else { return }
        for _ in 0...random.below(3) where !machine.scheduler.runOne() { return }
    }

    private func step() throws {
        switch random.below(100) {
        case 0..<27: try writeOne()
        case 27..<31: try writeGroup()
        case 31..<38: try writeBatch()
        case 38..<50: try readSome()
        case 50..<56: try scan()
        case 56..<66: try moveCursor()
        case 66..<71: try useSnapshot()
        case 71..<78: try runTransaction()
        case 78..<84: try maintain()
        case 84..<87: try changeKeyspaces()
        case 87..<91: changeTime()
        case 91..<93: try reopenCleanly()
        case 93..<96: try crash()
        case 96: try armStop()
        case 97..<99: try armFailures()
        default: try writeOne()
        }
    }

    // MARK: Time

    var now: UInt64 { database.engine.clock.now() }

    private func changeTime() {
        switch random.below(4) {
        case 0:
            let nanoseconds = UInt64(random.pick([1_000_000, 300_000_000, 30_000_000_000]))
            note("time passes: \(nanoseconds) ns")
            machine.scheduler.runAll(for: nanoseconds)
        case 1 where shape.hasTimes:
            let back = machine.clock.wallMilliseconds() - UInt64(random.pick([1, 400, 100_000]))
            note("the clock is set back")
            _ = now
            machine.clock.setWall(milliseconds: back)
        default:
            let ahead = UInt64(random.pick([1, 400, 10_000]))
            note("the clock is set \(ahead) ms ahead")
            machine.clock.setWall(milliseconds: machine.clock.wallMilliseconds() + ahead)
        }
    }

    /// Before another process opens the database: its clock must not be behind what this one acted on, because then it
    /// is not defined which expired entries are still there.
    func settleClock() {
        let latest = Swift.max(now, machine.clock.wallMilliseconds())
        machine.clock.setWall(milliseconds: latest)
    }

    // MARK: Choices

    func key() -> [UInt8] { random.pick(shape.keys) }
    func keyspace() -> ModelKeyspace { random.pick(keyspaces) }

    func range() -> KeyRange {
        switch random.below(4) {
        case 0: return .all
        case 1: return .prefix(Array(key().prefix(random.between(1, 3))))
        default:
            var bounds = [key(), key()].sorted { $0 < $1 }
            if random.chance(10) { bounds[1] = bounds[0] }
            return KeyRange(lower: random.chance(80) ? bounds[0] : nil, upper: random.chance(80) ? bounds[1] : nil)
        }
    }

    func durability() -> Durability? {
        let drawn: Durability? = random.pick([nil, nil, .durable, .relaxed])
        return shape.variant == nil ? drawn : .durable
    }
}

extension [UInt8] {
    /// For logs of histories.
    var shown: String {
        let head = prefix(24).map { $0 >= 0x21 && $0 < 0x7F ? String(UnicodeScalar($0)) : "\\\($0)" }.joined()
        return count > 24 ? "\(head)…(\(count))" : head
    }
}

extension KeyRange {
    var shown: String { "[\(lower?.shown ?? "first") to \(upper?.shown ?? "last")]" }
}
