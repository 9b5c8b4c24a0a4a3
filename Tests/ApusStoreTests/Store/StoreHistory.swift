// One random history of a whole store on a simulated machine, and the same history in plain values. Commits are durable or
// relaxed: after a power loss the store has to be what it was after one of the commits since the last durable one, in every
// collection alike. Each step draws from a generator of its own, so a failing history is run again by its seed.

import Apus
import ApusIO
import ApusSimulation

@testable import ApusStore

final class StoreHistory {
    /// Thrown by transactions that are given up.
    struct Refusal: Error {}

    let seed: UInt64
    var random: HistoryRandom
    var machine: Simulation
    var store: Store!
    var collections: StoreCollections!
    var model = StoreModel()
    /// What the store may be after a power loss: after the last durable commit, and each relaxed one since.
    var survivors = [StoreModel()]
    /// What the model becomes if the transaction under way was committed before the machine stopped.
    var underWay: StoreModel?
    var snapshots: [(snapshot: StoreSnapshot, model: StoreModel)] = []
    var writer: BlobWriter?
    var contentPool: [[UInt8]] = [[]]
    private(set) var trace: [String] = []
    private let isPrinting: Bool
    private(set) var crashCount = 0

    init(seed: UInt64, isPrinting: Bool) {
        self.seed = seed
        self.isPrinting = isPrinting
        random = HistoryRandom(seed)
        machine = Simulation(seed: random.next())
    }

    func note(_ text: @autoclosure () -> String) {
        let text = text()
        trace.append(text)
        if isPrinting { print(text) }
    }

    func run() throws {
        try open()
        for number in 0..<40 + Int(seed % 3) * 20 {
            random = HistoryRandom(seed &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(number) &* 0xD1B5_4A32_D192_ED03)
            do {
                try step()
            } catch let failure as HistoryFailure {
                throw failure
            } catch {
                guard machine.disk.isStopped else { throw HistoryFailure("step \(number): unexpected error: \(error)") }
            }
            if machine.disk.isStopped {
                try recover()
            } else {
                underWay = nil
                if random.chance(30) { _ = machine.scheduler.runOne() }
            }
        }
        machine.disk.removeFaults()
        if machine.disk.isStopped { try recover() }
        try check("at the end")
        letGo()
    }

    private func step() throws {
        switch random.below(100) {
        case ..<40: try send()
        case ..<50: try rewrite()
        case ..<57: try remove()
        case ..<61: try removeThread()
        case ..<66: try endSession()
        case ..<71: try collectGarbage()
        case ..<75: try stream()
        case ..<79: snapshots.append((try store.snapshot(), model))
        case ..<83: try lookAtSnapshot()
        case ..<87:
            let milliseconds = UInt64(random.pick([1, 900, Int(StoreCollections.grace)]))
            note("\(milliseconds) ms pass")
            machine.scheduler.runAll(for: milliseconds * 1_000_000)
        case ..<90:
            note("flush")
            try store.database.flush()
            survivors = [model]
        case ..<92: try check("in between")
        case ..<94: try reopen()
        case ..<97: machine.disk.inject(Fault(.stop))
        default: armStop(below: 60)
        }
    }

    // MARK: Transactions

    /// Runs `body` in a transaction that may be given up, may be in conflict the first time, and may be cut off; `body`
    /// changes the model that it is given as it changes the store.
    func commit(_ what: String, _ body: (StoreTransaction, inout StoreModel) throws -> Void) throws {
        let durability: Durability = random.chance(50) ? .durable : .relaxed
        let isGivenUp = random.chance(10)
        let isInConflict = random.chance(15)
        let choices = random.next()
        note("\(what), \(durability)\(isGivenUp ? ", given up" : "")\(isInConflict ? ", in conflict" : "")")
        if random.chance(8) { armStop(below: 25) }
        var after = model
        var attempts = 0
        var expected = 1
        var ends = (committed: 0, any: 0)
        do {
            try store.transaction(durability: durability) { transaction in
                attempts += 1
                after = model
                // Every attempt makes the same choices.
                random = HistoryRandom(choices)
                transaction.onEnd { _ in ends.any += 1 }
                transaction.onCommit { ends.committed += 1 }
                let other = isInConflict ? after.sessions.keys.sorted().first : nil
                if let other { _ = try collections.sessions.load(other, in: transaction) }
                try body(transaction, &after)
                if let other, attempts == 1 {
                    expected = 2
                    try interfere(other)
                }
                underWay = after
                if isGivenUp { throw Refusal() }
            }
            guard attempts == expected, ends == (1, attempts) else {
                throw HistoryFailure("the ends of \(attempts) attempts: \(ends)")
            }
            note(after: after, durability)
        } catch is Refusal {
            underWay = nil
            guard ends == (0, attempts) else { throw HistoryFailure("the ends of \(attempts) attempts: \(ends)") }
        }
    }

    /// Changes what the transaction under way has read.
    private func interfere(_ id: SessionID) throws {
        var after = model
        after.sessions[id]?.data = [255]
        after.sessions[id]?.lastActive = store.time
        underWay = after
        try collections.sessions.update(id, data: [255], durability: .durable)
        note(after: after, .durable)
    }

    private func note(after: StoreModel, _ durability: Durability) {
        underWay = nil
        model = after
        survivors = durability == .durable ? [after] : survivors + [after]
    }

    func makeContent() -> [UInt8] {
        var content = contentPool[random.below(contentPool.count)]
        switch random.below(3) {
        case 0: content = (0..<random.below(12_000)).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7 &+ 13) }
        case 1:
            let inserted = (0..<random.below(300)).map { _ in UInt8(random.below(256)) }
            content.insert(contentsOf: inserted, at: random.below(content.count + 1))
        default: break
        }
        return content
    }

    // MARK: Ends and beginnings

    private func open() throws {
        store = try Store.open(
            at: "/db", options: Options(memoryBudget: 1 << 20), environment: machine.environment)
        collections = try StoreCollections(store)
    }

    private func letGo() {
        writer = nil
        for (snapshot, _) in snapshots { snapshot.release() }
        snapshots = []
        try? store?.close()
        (collections, store) = (nil, nil)
    }

    private func reopen() throws {
        note("reopen")
        writer = nil
        snapshots = []
        try store.close()
        letGo()
        machine.restart()
        survivors = [model]
        try open()
        try check("after reopening")
    }

    private func armStop(below bound: Int) {
        let count = random.below(bound)
        note("the machine stops after \(count) changes")
        machine.disk.removeFaults()
        machine.disk.inject(Fault(.stop, skipping: count) { $0.isMutation })
    }

    private func recover() throws {
        var isPowerLost = false
        while true {
            crashCount += 1
            letGo()
            machine.disk.removeFaults()
            let mode = random.pick(CrashMode.allCases)
            if random.chance(30) {
                note("the process ends")
                machine.restart()
            } else {
                note("crash \(mode)")
                isPowerLost = true
                machine.crash(mode)
            }
            if random.chance(20) { armStop(below: 40) }
            do {
                try open()
                machine.disk.removeFaults()
                break
            } catch {
                guard machine.disk.isStopped else { throw HistoryFailure("opening after a crash: \(error)") }
            }
        }
        let snapshot = try store.snapshot()
        let found = try collections.contents(in: snapshot)
        snapshot.release()
        let allowed = (isPowerLost ? survivors : [model]) + (underWay.map { [$0] } ?? [])
        guard allowed.contains(found) else {
            throw HistoryFailure("after a crash: found\n\(found)\nwhich is none of\n\(allowed)")
        }
        model = found
        survivors = [found]
        underWay = nil
        try check("after a crash")
    }

    // MARK: Comparing

    private func lookAtSnapshot() throws {
        guard !snapshots.isEmpty else { return }
        let (snapshot, expected) = snapshots.remove(at: random.below(snapshots.count))
        note("look at a snapshot")
        try compare(expected, in: snapshot, "in a snapshot")
        snapshot.release()
    }

    private func compare(_ expected: StoreModel, in snapshot: StoreSnapshot, _ when: String) throws {
        let found = try collections.contents(in: snapshot)
        guard found == expected else {
            throw HistoryFailure("\(when): found\n\(found)\nexpected\n\(expected)")
        }
        try collections.check(expected, in: snapshot)
    }

    private func check(_ when: String) throws {
        let snapshot = try store.snapshot()
        defer { snapshot.release() }
        try compare(model, in: snapshot, when)
        let report = try store.verify()
        guard report.isSound else {
            if machine.disk.isStopped { throw Refusal() }
            throw HistoryFailure(
                "\(when): \(report.problems.map(\.description).joined(separator: "\n")) \(report.database.problems)")
        }
    }
}
