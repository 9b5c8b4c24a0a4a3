// Ends of a process in a history: clean ones, kills, power losses, and crashes in the middle of a call or of the
// recovery from the crash before; and what must be there afterwards.

import ApusSimulation

@testable import Apus

extension History {
    func reopenCleanly() throws {
        do {
            try closeCleanly()
        } catch let error as ApusError where isFaulty && error.isExplainedByDisk && !machine.disk.isStopped {
            note("failed: \(error.kind) \(error)")
            return try recoverFromFailure(hasClosed: true)
        }
        durableSequence = loggedEnds.last ?? durableSequence
        settleClock()
        letGoOfDatabase()
        machine.restart()
        // A full disk leaves the log in place of tables, which a close may do; what is ephemeral has no log.
        try reopen(required: lastSequence, wasClean: !isFaulty)
    }

    /// The process or the machine ends, at once.
    func crash() throws {
        machine.disk.removeFaults()
        machine.disk.inject(Fault(.stop))
        try recoverFromStop()
    }

    /// The machine will stop at some later change of the disk, in whatever call that is.
    func armStop() throws {
        // Where a call is cut off depends on the options, and so does what it leaves.
        if shape.variant != nil { return try crash() }
        let count = random.below(60)
        note("the machine stops after \(count) changes")
        machine.disk.removeFaults()
        machine.disk.inject(Fault(.stop, skipping: count) { $0.isMutation })
    }

    func recoverFromStop() throws {
        letGo()
        settleClock()
        // Jobs of the dead process run into errors; the process then goes.
        try? database.close()
        letGoOfDatabase()
        machine.disk.removeFaults()
        isFaulty = false
        let required = restart(isPowerLossAllowed: true) ? durableSequence : loggedEnds.last ?? 0
        try reopen(required: required, wasClean: false)
    }

    /// True if the power was lost, so that only what was synced is sure to be there.
    private func restart(isPowerLossAllowed: Bool) -> Bool {
        crashCount += 1
        guard random.chance(60) else {
            note("the process is killed")
            machine.restart()
            return false
        }
        let mode = random.pick(CrashMode.allCases)
        note("the power is lost: \(mode)")
        machine.crash(mode)
        return mode != .keepAll || losesCache
    }

    /// Opens the database, perhaps after recoveries that crash, and compares.
    /// - Parameter required: logged commits up to here must be there.
    func reopen(required: UInt64, wasClean: Bool) throws {
        var required = required
        var wasInterrupted = false
        // What began to fail before may go on.
        var isFailing = isFaulty
        isFaulty = false
        while true {
            if !shape.options.isReadOnly, shape.variant == nil, !isFailing {
                if random.chance(20) {
                    let count = random.below(40)
                    note("recovery stops after \(count) changes")
                    machine.disk.inject(Fault(.stop, skipping: count) { $0.isMutation })
                } else if !isEnding, random.chance(10) {
                    note("in recovery:")
                    injectFailure(within: 80)
                    isFailing = true
                }
            }
            var opened: Database?
            do {
                opened = try open()
            } catch {
                guard machine.disk.isStopped || isFailing && error.isExplainedByDisk else {
                    throw HistoryFailure("open: \(error.kind) \(error)")
                }
                note("open fails: \(error.kind) \(error)")
            }
            if let opened, !machine.disk.isStopped {
                machine.disk.removeFaults()
                database = opened
                break
            }
            try? opened?.close()
            opened = nil
            (wasInterrupted, isFailing) = (true, false)
            machine.disk.removeFaults()
            if restart(isPowerLossAllowed: true) { required = Swift.min(required, durableSequence) }
        }
        try adopt(required: required, wasClean: wasClean, wasInterrupted: wasInterrupted, wasFailing: isFailing)
        note("open at \(lastSequence)")
        try compareAll("after opening")
        isFaulty = isFailing
        losesCache = isFailing
    }

    // MARK: What must be there

    /// - Parameter wasFailing: calls failed, or might have. An opening that runs out of space makes room and begins anew,
    ///   and to its second attempt the clean close is history.
    private func adopt(required: UInt64, wasClean: Bool, wasInterrupted: Bool, wasFailing: Bool) throws {
        let sequence = database.engine.visibleSequence.rawValue
        try adoptKeyspaces()
        for commit in commitsUnderWay where commit.isLogged && sequence >= commit.last {
            note("the commit under way up to \(commit.last) survived")
            apply(commit)
        }
        commitsUnderWay = []
        guard sequence >= Swift.min(required, loggedEnds.last ?? 0), sequence <= lastSequence else {
            throw HistoryFailure("recovered up to \(sequence), but \(required) was acknowledged")
        }
        if wasClean, !wasInterrupted, sequence != lastSequence {
            throw HistoryFailure("a clean close forgot \(lastSequence - sequence) entries")
        }
        let cut = try cut(required: required, through: sequence)
        loggedEnds.removeAll { $0 > cut }
        for keyspace in keyspaces {
            if keyspace.isEphemeral {
                let isEmpty = try keyspace.handle.entries().isEmpty
                if isEmpty && (!wasClean || wasInterrupted || wasFailing) { keyspace.truncate(to: 0) }
            } else {
                keyspace.truncate(to: cut)
            }
        }
        lastSequence = sequence
        durableSequence = loggedEnds.last ?? 0
    }

    /// The last logged commit that survived. The engine's count alone does not tell: it may have kept the number of a
    /// table of an ephemeral keyspace that was newer than what was left of the log.
    private func cut(required: UInt64, through sequence: UInt64) throws -> UInt64 {
        let candidates = [0] + loggedEnds.filter { $0 <= sequence }
        guard keyspaces.contains(where: \.isEphemeral) || candidates.last! != sequence else { return sequence }
        let logged = keyspaces.filter { !$0.isEphemeral && $0.isExact }
        let found = try logged.map { try $0.handle.entries() }
        // Of the others only what must not be seen is known.
        let inexact = keyspaces.filter { !$0.isEphemeral && !$0.isExact }
        let seen = try inexact.map { try $0.handle.entries() }
        let least = Swift.min(required, candidates.last!)
        let cut = candidates.last { candidate in
            candidate >= least
                && zip(logged, found).allSatisfy { $0.entries(.all, at: candidate, time: now) == $1 }
                && zip(inexact, seen).allSatisfy { keyspace, entries in
                    entries.allSatisfy { keyspace.allows($0.value, for: $0.key, at: candidate, time: now) }
                }
        }
        return cut ?? candidates.last!
    }

    private func adoptKeyspaces() throws {
        let names = Set(database.keyspaceNames)
        switch structuralUnderWay {
        case .create(let name, let options, let mergeOperator) where names.contains(name):
            note("the keyspace being created is there")
            keyspaces.append(
                ModelKeyspace(name, options, mergeOperator, handle: try database.existingKeyspace(name)))
        case .drop(let name) where !names.contains(name):
            note("the keyspace being dropped is gone")
            keyspaces.removeAll { $0.name == name }
        default: break
        }
        guard names == Set(keyspaces.map(\.name)) else {
            throw HistoryFailure("keyspaces \(names.sorted()), expected \(keyspaces.map(\.name).sorted())")
        }
        for keyspace in keyspaces {
            keyspace.openHandle = try database.existingKeyspace(keyspace.name)
            let settings = keyspace.handle.tree.settings
            if case .change(keyspace.name, let options) = structuralUnderWay,
                try KeyspaceSettings(options) == settings
            {
                keyspace.options = options
            }
            guard try KeyspaceSettings(keyspace.options) == settings else {
                throw HistoryFailure("\(keyspace.name) has the settings \(settings)")
            }
        }
        structuralUnderWay = nil
    }
}
