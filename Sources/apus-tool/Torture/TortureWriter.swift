// apus torture --writer: threads that commit without end and acknowledge every commit after its call has returned,
// until somebody kills them. An observer reads beside them and checks what readers are promised.

import Apus
import ApusIO
import Foundation
import Synchronization

final class TortureWriter: Sendable {
    struct Settings {
        var directory: String
        var workload: TortureWorkload
        var memoryBudget: Int
        /// Log segments, manifest and tables of a size at which all of them are changed for new ones all the time.
        var isSmall = false
        /// Ends, and closes the database, after this long; never by itself if nil.
        var seconds: Double?
        var limits = TortureLimits()
        /// Errors that a lack of something explains are no violation, and the writer goes on after them.
        var toleratesErrors: Bool { limits.toleratesErrors }
    }

    private let settings: Settings
    private let output: AcknowledgmentOutput
    private let isStopping = Atomic(false)
    /// The database refuses writes and has to be opened again.
    private let hasFailed = Atomic(false)
    private let hasViolation = Atomic(false)
    private let errorLines = Atomic(0)
    /// Per thread: commits whose call has returned.
    private let returned: [Counter]

    private final class Counter: Sendable {
        let value = Atomic(0)
    }

    init(_ settings: Settings, _ output: AcknowledgmentOutput) {
        self.settings = settings
        self.output = output
        returned = (0..<settings.workload.threads).map { _ in Counter() }
    }

    /// Returns the exit code, if it comes to that.
    func run() throws -> Int32 {
        try settings.limits.applyForever()
        output.write(.workload(settings.workload))
        if settings.limits.fileSize != nil { startTogglingFileSize() }
        if let seconds = settings.seconds {
            // The flag is set, not the thread joined: whoever waits for something looks at it.
            SystemThread.started { [self] in
                Thread.sleep(forTimeInterval: seconds)
                isStopping.store(true, ordering: .releasing)
            }.detach()
        }
        while true {
            guard let database = try open() else { break }
            try runThreads(database)
            do {
                try database.database.close()
                if isStopping.load(ordering: .acquiring) { output.write(.closed) }
            } catch {
                report(error)
            }
            if isStopping.load(ordering: .acquiring) { break }
            hasFailed.store(false, ordering: .releasing)
        }
        return hasViolation.load(ordering: .acquiring) ? 1 : 0
    }

    /// nil if there was no time for it.
    private func open() throws -> TortureDatabase? {
        while !isStopping.load(ordering: .acquiring) {
            do {
                let database = try TortureDatabase.open(
                    settings.directory,
                    settings.workload,
                    memoryBudget: settings.memoryBudget,
                    isSmall: settings.isSmall,
                    createIfMissing: true
                )
                try database.begin()
                for (thread, counter) in returned.enumerated() {
                    let count = try database.position(thread)
                    counter.value.store(count, ordering: .releasing)
                    output.write(.found(thread: thread, count: count))
                }
                return database
            } catch let error as ApusError where settings.toleratesErrors && error.isForWantOfSomething {
                report(error)
                Thread.sleep(forTimeInterval: 0.005)
            } catch let error as ApusError {
                violation("opening failed: \(error.kind.rawValue): \(error)")
                return nil
            }
        }
        return nil
    }

    private func runThreads(_ database: TortureDatabase) throws {
        var threads = (0..<settings.workload.threads).map { number in
            SystemThread.started { [self] in run(number, database) }
        }
        threads.append(SystemThread.started { [self] in observe(database) })
        // Joined, so that nothing of them is left to run while the process tears itself down.
        for thread in threads { thread.join() }
    }

    private var mustEnd: Bool { isStopping.load(ordering: .acquiring) || hasFailed.load(ordering: .acquiring) }

    // MARK: - Writing

    private func run(_ thread: Int, _ database: TortureDatabase) {
        var number = returned[thread].value.load(ordering: .acquiring)
        // A process before may have ended before what follows its last commit, or in the middle of it.
        var isSingleDue = number > 0
        while !mustEnd {
            if isSingleDue {
                do {
                    try performSingle(thread, number - 1, database)
                } catch {
                    guard handle(error, "the single write after commit \(number) of thread \(thread)") else { return }
                    continue
                }
            }
            isSingleDue = false
            let commit = settings.workload.commit(thread, number)
            do {
                try perform(commit, database)
                number += 1
                returned[thread].value.store(number, ordering: .releasing)
                output.write(.committed(thread: thread, count: number, isDurable: commit.isDurable))
                isSingleDue = true
            } catch {
                guard handle(error, "commit \(number + 1) of thread \(thread)") else { return }
                checkNoEffect(thread, number, database)
                continue
            }
            do {
                try perform(commit.maintenance, database)
            } catch {
                guard handle(error, "\(commit.maintenance)") else { return }
            }
        }
    }

    private func perform(_ commit: TortureCommit, _ database: TortureDatabase) throws {
        let seen = returned.map { $0.value.load(ordering: .acquiring) }
        let durability: Durability = commit.isDurable ? .durable : .relaxed
        guard let transfer = commit.transfer else {
            var sink = BatchSink()
            database.write(commit, seen: seen, to: &sink)
            try database.database.commit(sink.batch, durability: durability)
            return
        }
        try database.database.transaction(durability: durability) { transaction in
            let position = try transaction.get(TortureControl.positionKey(commit.thread), in: database.control)
            let count = position.flatMap { integer($0) } ?? 0
            if count != commit.number {
                violation("a transaction sees \(count) commits of thread \(commit.thread), not \(commit.number)")
            }
            for (account, amount) in [(transfer.from, -transfer.amount), (transfer.to, transfer.amount)] {
                let key = TortureControl.accountKey(account)
                let balance = try transaction.get(key, in: database.control).flatMap { integer($0) }
                if balance == nil { violation("a transaction sees no account \(account)") }
                transaction.put(key, integerBytes(Int64(balance ?? 0) + amount), in: database.control)
            }
            var sink = TransactionSink(transaction: transaction)
            database.write(commit, seen: seen, to: &sink)
        }
    }

    private func performSingle(_ thread: Int, _ number: Int, _ database: TortureDatabase) throws {
        guard let single = settings.workload.single(thread, number) else { return }
        let key = TortureWorkload.singleKey(thread, single.slot)
        let durability: Durability = single.isDurable ? .durable : .relaxed
        if let value = single.value {
            try database.singles.put(key, settings.workload.bytes(value), durability: durability)
        } else {
            try database.singles.delete(key, durability: durability)
        }
        output.write(.single(thread: thread, count: number + 1, isDurable: single.isDurable))
    }

    private func perform(_ maintenance: TortureCommit.Maintenance, _ database: TortureDatabase) throws {
        switch maintenance {
        case .none: break
        case .flush: try database.database.flush()
        case .synchronize: try database.database.synchronize()
        case .compact(let keyspace): try database[keyspace].compact()
        }
    }

    // MARK: - Errors

    /// Whether the thread may go on.
    private func handle(_ error: any Error, _ what: String) -> Bool {
        guard let error = error as? ApusError else {
            violation("\(what): an error that is not of the engine's: \(error)")
            return false
        }
        switch error.kind {
        case .conflict: return true
        case .closed where mustEnd: return false
        case .outOfSpace where settings.toleratesErrors:
            report(error)
            Thread.sleep(forTimeInterval: 0.002)
            return true
        case .failed where settings.toleratesErrors, .io where settings.toleratesErrors:
            report(error)
            hasFailed.store(true, ordering: .releasing)
            return false
        default:
            violation("\(what): \(error.kind.rawValue): \(error)")
            return false
        }
    }

    /// A commit that was refused is not there.
    private func checkNoEffect(_ thread: Int, _ number: Int, _ database: TortureDatabase) {
        guard !mustEnd, let position = try? database.position(thread), position != number else { return }
        violation("commit \(number + 1) of thread \(thread) was refused, but there are \(position)")
    }

    private func report(_ error: any Error) {
        // Enough to see what happened; while a file system is full there is an error every few milliseconds.
        guard errorLines.wrappingAdd(1, ordering: .relaxed).newValue <= 200 else { return }
        let kind = (error as? ApusError)?.kind.rawValue ?? "other"
        output.write(.error(kind: kind, text: "\(error)"))
    }

    func violation(_ text: String) {
        output.write(.violation(text))
        hasViolation.store(true, ordering: .releasing)
        isStopping.store(true, ordering: .releasing)
    }

    // MARK: - Reading beside it

    /// Snapshots hold whole commits, and stay as they are.
    private func observe(_ database: TortureDatabase) {
        var random = TortureRandom(settings.workload.seed, 1)
        while !mustEnd {
            do {
                let snapshot = try database.database.snapshot()
                let keyspace = database.keyspaces[random.below(database.keyspaces.count)]
                let before = try digest(snapshot, keyspace)
                try checkWhole(snapshot, database)
                Thread.sleep(forTimeInterval: 0.01)
                if try digest(snapshot, keyspace) != before {
                    violation("keyspace \(keyspace.name) changed under a snapshot")
                }
                snapshot.release()
            } catch {
                guard handle(error, "reading beside the writers") else { return }
            }
        }
    }

    private func checkWhole(_ snapshot: Snapshot, _ database: TortureDatabase) throws {
        var total = 0
        for thread in 0..<settings.workload.threads {
            let key = TortureControl.positionKey(thread)
            let position = try snapshot.get(key, in: database.control)
            for keyspace in database.keyspaces where try snapshot.get(key, in: keyspace) != position {
                violation("a snapshot sees half a commit of thread \(thread) in keyspace \(keyspace.name)")
            }
            total += position.flatMap { integer($0) } ?? 0
        }
        let counted = try snapshot.get(TortureControl.totalKey, in: database.control).flatMap { integer($0) } ?? 0
        if counted != total { violation("a snapshot counts \(counted) commits and sees \(total)") }
        var balance = 0
        for account in 0..<TortureControl.accountCount {
            balance +=
                try snapshot.get(TortureControl.accountKey(account), in: database.control)
                .flatMap { integer($0) } ?? 0
        }
        if balance != 0 { violation("the accounts of a snapshot add up to \(balance)") }
    }

    private func digest(_ snapshot: Snapshot, _ keyspace: Keyspace) throws -> UInt64 {
        var digest: UInt64 = 0
        try snapshot.scan(in: keyspace) { key, value in
            for span in [key.byteCount, value.byteCount] { digest = (digest ^ UInt64(span)) &* 0x0000_0100_0000_01B3 }
            key.withUnsafeBytes { digest = $0.reduce(digest) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 } }
            // What a value follows from stands at its beginning.
            value.withUnsafeBytes {
                digest = $0.prefix(24).reduce(digest) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
            }
            return .next
        }
        return digest
    }

    // MARK: - Limits that come and go

    private func startTogglingFileSize() {
        let limits = settings.limits
        var random = TortureRandom(settings.workload.seed, 2)
        var pauses = (0..<64).map { _ in 0.01 + Double(random.below(80)) / 1000 }
        pauses.append(0.02)
        SystemThread.started { [pauses] in
            var step = 0
            while true {
                Thread.sleep(forTimeInterval: pauses[step % pauses.count])
                limits.setFileSize(isLimited: step.isMultiple(of: 2))
                step += 1
            }
        }.detach()
    }
}

extension ApusError {
    /// The machine has not got what the operation needs.
    var isForWantOfSomething: Bool {
        switch kind {
        case .outOfSpace, .failed, .io: true
        default: false
        }
    }
}
