// One run of the fixed workload on a simulated machine: the engine, the model beside it, and what is known about the
// call that was under way when something went wrong. The steps are in AnomalyWorkload.swift, what must hold after the
// end of the process in AnomalyRecovery.swift.

import ApusIO
import ApusSimulation

@testable import Apus

struct AnomalyFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

final class AnomalyRun {
    enum Structural {
        case create(AnomalyKeyspace)
        case drop(String)
    }

    static let directory = "/db"
    static let seed: UInt64 = 11

    var machine = Simulation(seed: AnomalyRun.seed)
    var database: Database?
    var keyspaces: [ModelKeyspace] = []
    var snapshot: (snapshot: Snapshot, sequence: UInt64, time: UInt64)?
    /// Ends of the acknowledged commits, ascending.
    var ends: [UInt64] = [0]
    /// Commits up to here were promised to survive a power loss, or were returned by an open.
    var durableSequence: UInt64 = 0
    /// What the next open has to find at least.
    var required: UInt64 = 0
    /// The commit that failed in a way that leaves open whether it is there.
    var underWay: ModelCommit?
    var structural: Structural?
    /// `close` was called, so the process can only end.
    var isEnding = false
    var salvageCount = 0
    private(set) var retryCount = 0
    /// Steps after which reads had led to a compaction.
    private(set) var readCompactionCount = 0
    private(set) var stepName = ""
    /// How the attempts at the current step failed.
    private var kinds: [ApusError.Kind] = []
    /// Whether only one call fails.
    var isOnce = false
    /// The last errors, for the report of a failure.
    private(set) var errors: [String] = []

    static var options: Options {
        var options = Options(memoryBudget: 1 << 20)
        var tuning = Tuning(memoryBudget: 1 << 20)
        tuning.writeBufferByteCount = 2_048
        tuning.blockByteCount = 256
        tuning.levels.ratio = 3
        tuning.levels.levelZeroTrigger = 2
        tuning.levels.levelZeroPatience = 2
        tuning.levels.baseByteCount = 2_048
        tuning.levels.tableByteCount = 1_024
        tuning.levels.expiryPatience = 1
        tuning.logSegmentByteCount = 4_096
        tuning.logByteCount = 8_192
        tuning.manifestByteCount = 512
        tuning.leastValueByteCount = 160
        tuning.leastSyncedValuesByteCount = 700
        tuning.valueFileByteCount = 1_000
        tuning.leastWastedSeeks = 4
        tuning.byteCountPerWastedSeek = 2_048
        options.tuning = tuning
        options.syncInterval = .milliseconds(100)
        return options
    }

    var lastSequence: UInt64 { ends.last! }

    /// Runs the workload until it ends, the machine stops, or a step fails twice. Throws `AnomalyFailure` if something
    /// happened that must not.
    func run() throws {
        for step in AnomalyWorkload.steps {
            stepName = step.name
            kinds = []
            if try attempt(step) { continue }
            if machine.disk.isStopped { return }
            try checkReads()
            retryCount += 1
            if try attempt(step) { continue }
            if machine.disk.isStopped { return }
            try checkReads()
            // A refusal for want of space is not final: there is room now.
            if !isEnding, kinds.allSatisfy({ $0 == .outOfSpace }) {
                machine.disk.removeFaults()
                if try attempt(step) { continue }
                throw AnomalyFailure("refused, though there is room again")
            }
            // What needs no database that is open for writing can always be tried again.
            if isOnce, database == nil { throw AnomalyFailure("failed twice for one fault") }
            return
        }
        stepName = "the end"
    }

    /// False if the step failed with an error that a caller may get.
    private func attempt(_ step: AnomalyWorkload.Step) throws -> Bool {
        do {
            try step.run(self)
            if let database, !isEnding {
                let isDue = database.engine.structure.withLock { structure in
                    structure.trees.values.contains { $0.optionalCompaction?.reason == .reads }
                }
                if isDue { readCompactionCount += 1 }
                for _ in 0..<step.backgroundJobs where !machine.scheduler.runOne() { break }
            }
            return !machine.disk.isStopped
        } catch let error as ApusError {
            kinds.append(error.kind)
            errors.append("\(step.name): \(error.kind) \(error)")
            if errors.count > 4 { errors.removeFirst() }
            if machine.disk.isStopped { return false }
            // A refusal changes nothing; after any other failure the commit may be there or not.
            if error.kind == .outOfSpace { underWay = nil }
            let allowed: Set<ApusError.Kind> = [.io, .outOfSpace, .failed]
            guard allowed.contains(error.kind) else { throw AnomalyFailure("\(error.kind) \(error)") }
            return false
        }
    }

    // MARK: - Checks while the process lives

    /// After a failure readers see what was acknowledged, or get an error; never anything else.
    private func checkReads() throws {
        guard let database, !isEnding, structural == nil else { return }
        do throws(ApusError) {
            for keyspace in keyspaces {
                let sequence = database.engine.visibleSequence.rawValue
                guard sequence == lastSequence else {
                    throw ApusError(.closed, "sequence \(sequence) is visible, \(lastSequence) was acknowledged")
                }
                let difference = try Self.difference(
                    keyspace, keyspace.handle, at: lastSequence, time: database.engine.clock.now())
                if let difference { throw ApusError(.closed, "after an error: \(difference)") }
            }
        } catch {
            guard [.io, .outOfSpace, .failed].contains(error.kind) else { throw AnomalyFailure("\(error)") }
        }
    }

    /// What the step "look at everything" does.
    func compare() throws {
        let database = database!
        for keyspace in keyspaces {
            let difference = try Self.difference(
                keyspace, keyspace.handle, at: lastSequence, time: database.engine.clock.now())
            if let difference { throw AnomalyFailure(difference) }
        }
        guard let snapshot else { return }
        for keyspace in keyspaces where keyspace.isExact {
            let found = try snapshot.snapshot.entries(in: keyspace.handle)
            guard found == keyspace.entries(.all, at: snapshot.sequence, time: snapshot.time) else {
                throw AnomalyFailure("the snapshot of \(keyspace.name) changed")
            }
        }
    }

    /// Compares a keyspace with the model: forward, backward, and key by key.
    static func difference(
        _ model: ModelKeyspace, _ keyspace: Keyspace, at sequence: UInt64, time: UInt64
    ) throws(ApusError) -> String? {
        let forward = try keyspace.entries()
        if model.isExact, forward != model.entries(.all, at: sequence, time: time) {
            return "\(model.name) holds \(forward.count) entries that are not those of sequence \(sequence)"
        }
        guard try keyspace.entries(reversed: true) == forward.reversed() else {
            return "\(model.name) backwards is not \(model.name) forwards"
        }
        let found = Dictionary(uniqueKeysWithValues: forward.map { ($0.key, $0.value) })
        for key in model.allKeys {
            guard try keyspace.get(key) == found[key] else { return "\(model.name): get and scan differ in a key" }
            guard model.allows(found[key], for: key, at: sequence, time: time) else {
                return "\(model.name): a value that its key never had"
            }
        }
        return nil
    }

    // MARK: - Writing

    var now: UInt64 { database!.engine.clock.now() }

    func commit(_ durability: Durability, _ writes: [(String, AnomalyWrite)]) throws {
        var batch = WriteBatch()
        for (name, write) in writes { write.add(to: &batch, model(name).handle) }
        try commit(durability, writes) { () throws(ApusError) in try database!.commit(batch, durability: durability) }
    }

    /// A put or a delete by itself, which takes a shorter way to the log than a batch.
    func commitAlone(_ durability: Durability, _ name: String, _ write: AnomalyWrite) throws {
        let keyspace = model(name).handle
        try commit(durability, [(name, write)]) { () throws(ApusError) in try write.perform(in: keyspace, durability) }
    }

    private func commit(
        _ durability: Durability, _ writes: [(String, AnomalyWrite)], _ body: () throws(ApusError) -> Void
    ) throws {
        var commit = ModelCommit(writes: [], first: lastSequence + 1)
        for (name, write) in writes {
            let keyspace = model(name)
            commit.writes.append(.init(keyspace: keyspace, change: write.change(in: keyspace, now: now)))
        }
        underWay = commit
        try body()
        underWay = nil
        apply(commit)
        if durability == .durable { durableSequence = lastSequence }
    }

    private func model(_ name: String) -> ModelKeyspace { keyspaces.first { $0.name == name }! }

    func apply(_ commit: ModelCommit) {
        for (index, write) in commit.writes.enumerated() {
            write.keyspace.apply(write.change, commit.first + UInt64(index))
        }
        ends.append(commit.last)
    }

    func create(_ keyspace: AnomalyKeyspace) throws {
        structural = .create(keyspace)
        let handle = try database!.keyspace(keyspace.rawValue, options: keyspace.options)
        structural = nil
        if keyspaces.contains(where: { $0.name == keyspace.rawValue }) { return }
        keyspaces.append(keyspace.model(handle: handle))
    }

    func drop(_ name: String) throws {
        structural = .drop(name)
        do throws(ApusError) {
            try database!.dropKeyspace(name)
        } catch {
            guard error.kind == .notFound else { throw error }
        }
        structural = nil
        keyspaces.removeAll { $0.name == name }
    }

    // MARK: - The process

    func open() throws {
        let opened = try Database.open(at: Self.directory, options: Self.options, environment: machine.environment)
        let found = try AnomalyRecovery.state(of: opened, self)
        database = opened
        adopt(found)
        for keyspace in keyspaces { keyspace.openHandle = try opened.existingKeyspace(keyspace.name) }
    }

    private func adopt(_ found: AnomalyRecovery.Found) {
        if let underWay, found.sequence == underWay.last { apply(underWay) }
        ends.removeAll { $0 > found.sequence }
        keyspaces = found.keyspaces
        for keyspace in keyspaces { keyspace.truncate(to: found.sequence) }
        (underWay, structural) = (nil, nil)
        (durableSequence, required) = (lastSequence, lastSequence)
    }

    func close() throws {
        snapshot = nil
        // The first call decides; another one finds nothing left to do.
        let isFirst = !isEnding
        isEnding = true
        let ended = Result(catching: { () throws(ApusError) in try database!.close() })
        if machine.disk.openFileCount > 0, !machine.disk.isStopped {
            throw AnomalyFailure("\(machine.disk.openFileCount) files are open after close")
        }
        try ended.get()
        if isFirst { durableSequence = lastSequence }
        try endProcess()
        machine.restart()
    }

    /// Lets go of the database and of everything that refers to it.
    func endProcess() throws {
        snapshot = nil
        for keyspace in keyspaces { keyspace.openHandle = nil }
        database = nil
        isEnding = false
        required = lastSequence
        if machine.disk.openFileCount > 0, !machine.disk.isStopped {
            throw AnomalyFailure("\(machine.disk.openFileCount) files are open after the end")
        }
    }

    /// The process is killed in the middle of whatever its background jobs do.
    func kill(_ mode: CrashMode?) {
        machine.disk.inject(Fault(.stop))
        _ = try? machine.disk.status(of: Self.directory)
        snapshot = nil
        try? database?.close()
        for keyspace in keyspaces { keyspace.openHandle = nil }
        database = nil
        if let mode {
            machine.crash(mode)
            required = durableSequence
        } else {
            machine.restart()
            required = lastSequence
        }
    }

    func readOnly() throws {
        var options = Self.options
        options.isReadOnly = true
        let names = try machine.disk.names(in: Self.directory)
        let opened = try Database.open(at: Self.directory, options: options, environment: machine.environment)
        _ = try AnomalyRecovery.state(of: opened, self)
        guard try machine.disk.names(in: Self.directory) == names else {
            throw AnomalyFailure("a read-only open changed the directory")
        }
        try opened.close()
    }

    func salvage() throws {
        // A failed attempt may have been unable to tidy up.
        salvageCount += 1
        let target = "/salvaged-\(salvageCount)"
        let report = try Database.salvage(
            from: Self.directory, to: target, options: Self.options, environment: machine.environment)
        let opened = try Database.open(at: target, options: Self.options, environment: machine.environment)
        if report.isComplete { _ = try AnomalyRecovery.state(of: opened, self) }
        try opened.close()
    }
}

extension IOError {
    fileprivate var typed: ApusError { ApusError(self) }
}

extension SimulatedDisk {
    /// For tests: a failing call of theirs is one of the faults too.
    func names(in directory: String) throws(ApusError) -> [String] {
        do { return try list(directory).sorted() } catch { throw error.typed }
    }
}
