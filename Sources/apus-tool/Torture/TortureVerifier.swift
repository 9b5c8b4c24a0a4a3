// apus torture --verifier: opens a database whose writer was killed, in a process of its own, and compares it with what
// the acknowledgments and the seed say.
//
//   1. Read-only, which changes nothing: if something is wrong, the directory is still as the crash left it.
//   2. For writing, which recovers. Everything must be as before. Then a durable write, and a clean close.
//   3. Read-only again: everything as before, that write is there, and no file that nothing refers to.

import Apus
import ApusIO
import Foundation

struct TortureVerifier {
    /// What a verifier says, as JSON.
    struct Verdict: Codable {
        var clean: Bool { violations.isEmpty }
        var seed: UInt64
        /// Commits of each thread that are in the database.
        var positions: [Int] = []
        /// Commits that were looked for, because they had been acknowledged.
        var commitsAcknowledged = 0
        /// Entries compared, once for every way of reading them.
        var entriesChecked = 0
        /// Times that the database was opened.
        var recoveries = 0
        var violations: [String] = []
    }

    private let directory: String
    private let state: AcknowledgmentState
    private let workload: TortureWorkload
    private var verdict: Verdict
    /// What the untouched database held of single writes.
    private var foundSingles: [Entry] = []
    /// One mistake shows in many places; the first few say enough.
    private static let violationLimit = 20

    static func run(_ directory: String, _ state: AcknowledgmentState) throws -> Verdict {
        guard let workload = state.workload else {
            // A writer that was killed before it said anything has done nothing.
            return Verdict(seed: 0)
        }
        var verifier = TortureVerifier(directory, state, workload)
        do {
            try verifier.verify()
        } catch let error as ApusError {
            verifier.report("\(error.kind.rawValue): \(error)")
        }
        return verifier.verdict
    }

    private init(_ directory: String, _ state: AcknowledgmentState, _ workload: TortureWorkload) {
        self.directory = directory
        self.state = state
        self.workload = workload
        verdict = Verdict(seed: workload.seed)
        verdict.commitsAcknowledged = state.acknowledged.reduce(0, +)
        verdict.violations = state.violations
    }

    private mutating func report(_ text: String) {
        if verdict.violations.count < Self.violationLimit { verdict.violations.append(text) }
    }

    private mutating func verify() throws {
        guard let model = try verifyUntouched(), verdict.clean else { return }
        let mark = try verifyRecovered(model)
        guard verdict.clean else { return }
        try verifyClosed(model, mark)
    }

    // MARK: - 1. As the crash left it

    /// What the database must hold from here on; nil if there is none to be had.
    private mutating func verifyUntouched() throws -> TortureModel? {
        let database: TortureDatabase?
        do {
            database = try TortureDatabase.openForReading(directory, workload)
        } catch let error as ApusError where error.kind == .notFound && !state.wasOpened {
            // The first writer was killed before there was a database.
            database = nil
        }
        verdict.recoveries += 1
        guard let database else {
            if state.wasOpened { report("lost: keyspaces that the writer has used") }
            return TortureModel(workload, positions: Array(repeating: 0, count: workload.threads))
        }
        let positions = try (0..<workload.threads).map { try database.position($0) }
        verdict.positions = positions
        for (thread, position) in positions.enumerated()
        where !state.legalPositions(thread).contains(position) {
            report(state.explain(thread, position))
        }
        // Whatever else is wrong follows from it.
        guard verdict.clean else { return nil }
        let model = TortureModel(workload, positions: positions)
        try checkOrder(database, positions)
        try checkControl(database, model)
        for (keyspace, (entries, absent)) in zip(database.keyspaces, zip(model.entries, model.absent)) {
            try checkScan(keyspace, entries, reversed: false)
            try checkScan(keyspace, entries, reversed: true)
            try checkGets(keyspace, entries, absent)
        }
        foundSingles = try database.singles.entries()
        verdict.entriesChecked += foundSingles.count
        let mistakes = Self.singleMistakes(foundSingles, workload, positions: positions) {
            state.requiresSingle($0, after: positions[$0])
        }
        for mistake in mistakes { report(mistake) }
        try checkFiles(database.database, isClosed: false)
        try database.database.close()
        return model
    }

    // MARK: - 2. Recovered

    /// The mark that it wrote.
    private mutating func verifyRecovered(_ model: TortureModel) throws -> Int {
        let database = try TortureDatabase.open(
            directory,
            workload,
            memoryBudget: 16 << 20,
            createIfMissing: !state.wasOpened
        )
        verdict.recoveries += 1
        try database.begin()
        try checkControl(database, model)
        for (keyspace, entries) in zip(database.keyspaces, model.entries) {
            try checkScan(keyspace, entries, reversed: false)
        }
        try checkScan(database.singles, foundSingles, reversed: false)
        let mark = try database.control.get(TortureControl.verifiedKey).flatMap { integer($0) } ?? 0
        try database.control.put(TortureControl.verifiedKey, integerBytes(mark + 1), durability: .durable)
        try database.database.close()
        return mark + 1
    }

    // MARK: - 3. Closed

    private mutating func verifyClosed(_ model: TortureModel, _ mark: Int) throws {
        guard let database = try TortureDatabase.openForReading(directory, workload) else {
            return report("lost: keyspaces, after a clean close")
        }
        verdict.recoveries += 1
        try checkControl(database, model)
        for (keyspace, entries) in zip(database.keyspaces, model.entries) {
            try checkScan(keyspace, entries, reversed: false)
        }
        try checkScan(database.singles, foundSingles, reversed: false)
        let found = try database.control.get(TortureControl.verifiedKey).flatMap { integer($0) }
        if found != mark { report("lost: a durable write after the recovery") }
        try checkFiles(database.database, isClosed: true)
        try database.database.close()
    }

    // MARK: - Checks

    /// What is there is a prefix of the commit order: with a commit, everything is there that had returned before the
    /// commit began.
    private mutating func checkOrder(_ database: TortureDatabase, _ positions: [Int]) throws {
        for (thread, position) in positions.enumerated() where position > 0 {
            let bytes = try database.control.get(TortureControl.seenKey(thread)) ?? []
            guard bytes.count == 8 * positions.count else {
                report("the order of commits that thread \(thread) saw is not there")
                continue
            }
            for other in positions.indices {
                let seen = integer(bytes[8 * other..<8 * other + 8]) ?? 0
                if seen > positions[other] {
                    report(
                        "not a prefix: commit \(position) of thread \(thread) is there, but of the \(seen) commits of "
                            + "thread \(other) that had returned before, only \(positions[other]) are"
                    )
                }
            }
        }
    }

    /// Counters, accounts and positions: exactly those, and no other key.
    private mutating func checkControl(_ database: TortureDatabase, _ model: TortureModel) throws {
        var expected: [[UInt8]: [UInt8]] = [:]
        func expect(_ key: String, _ value: [UInt8]) { expected[Array(key.utf8)] = value }
        for (account, balance) in model.accounts.enumerated() {
            expect(TortureControl.accountKey(account), integerBytes(balance))
        }
        if model.total > 0 { expect(TortureControl.totalKey, integerBytes(model.total)) }
        for (thread, position) in model.positions.enumerated() where position > 0 {
            expect(TortureControl.positionKey(thread), integerBytes(position))
        }
        let isOther: Set = Set(
            [TortureControl.verifiedKey] + model.positions.indices.map { TortureControl.seenKey($0) }
        )
        var found = try database.control.entries().filter { !isOther.contains(String(decoding: $0.key, as: UTF8.self)) }
        let description = Array(TortureControl.workloadKey.utf8)
        if let index = found.firstIndex(where: { $0.key == description }) {
            let value = found.remove(at: index).value
            if value != Array(workload.description.utf8) { report("the database is of \"\(displayed(value))\"") }
        } else if found.isEmpty, !state.wasOpened {
            // Killed before the first commit of all.
            return
        } else {
            report("lost: the workload's description")
        }
        verdict.entriesChecked += found.count
        for entry in found where expected.removeValue(forKey: entry.key) != entry.value {
            report("\(TortureControl.name): \(displayed(entry.key)) is \(integer(entry.value) ?? -1)")
        }
        for key in expected.keys { report("\(TortureControl.name): \(displayed(key)) is not there") }
    }

    private mutating func checkScan(_ keyspace: Keyspace, _ expected: [Entry], reversed: Bool) throws {
        let way = "\(keyspace.name), \(reversed ? "backward" : "forward")"
        let count = expected.count
        var index = 0
        var mistakes: [String] = []
        try keyspace.scan(reversed: reversed) { key, value in
            let key = key.withUnsafeBytes { [UInt8]($0) }
            func isBefore(_ a: [UInt8], _ b: [UInt8]) -> Bool {
                reversed ? b.lexicographicallyPrecedes(a) : a.lexicographicallyPrecedes(b)
            }
            func next() -> Entry? { index < count ? expected[reversed ? count - 1 - index : index] : nil }
            while let wanted = next(), isBefore(wanted.key, key) {
                mistakes.append("\(way): \(displayed(wanted.key)) is not there")
                index += 1
            }
            if let wanted = next(), wanted.key == key {
                let isEqual = value.withUnsafeBytes { found in wanted.value.withUnsafeBytes { equalBytes(found, $0) }
                }
                if !isEqual {
                    mistakes.append(
                        "\(way): \(displayed(key)) is \(Self.beginning(value)), not \(Self.beginning(wanted.value.span.bytes))"
                    )
                }
                index += 1
            } else {
                mistakes.append("\(way): \(displayed(key)) is there with \(Self.beginning(value)), which nobody wrote")
            }
            return mistakes.count < Self.violationLimit ? .next : .stop
        }
        if index < count, mistakes.count < Self.violationLimit {
            mistakes.append("\(way): ends after \(index) of \(count) entries")
        }
        verdict.entriesChecked += index
        for mistake in mistakes { report(mistake) }
    }

    private mutating func checkGets(_ keyspace: Keyspace, _ expected: [Entry], _ absent: [[UInt8]]) throws {
        for entry in expected where try keyspace.get(entry.key) != entry.value {
            report("\(keyspace.name), by key: \(displayed(entry.key)) is not what the scan found")
        }
        for key in absent where try keyspace.get(key) != nil {
            report("\(keyspace.name), by key: \(displayed(key)) is there, which the scan did not find")
        }
        verdict.entriesChecked += expected.count + absent.count
    }

    private mutating func checkFiles(_ database: Database, isClosed: Bool) throws {
        let found = try database.verify()
        for problem in found.problems { report("verify: \(problem)") }
        for name in found.foreignNames { report("verify: \(name) is no file of the database") }
        guard isClosed else { return }
        for name in found.leftovers { report("leaked: nothing refers to \(name) after a clean close") }
    }

    /// Enough of a value to tell whose it is.
    private static func beginning(_ value: RawSpan) -> String {
        let text = value.withUnsafeBytes { displayed([UInt8]($0.prefix(24))) }
        return "\"\(text)\" (\(value.byteCount) bytes)"
    }
}
