// What operators do in a history: flush, compact, sync, keyspaces that come and go, closing; and the checks at the end.

import ApusSimulation

@testable import Apus

extension History {
    func maintain() throws {
        switch random.below(6) {
        case 0, 1:
            note("flush")
            try database.flush()
        case 2:
            note("synchronize")
            try database.synchronize()
            durableSequence = loggedEnds.last ?? durableSequence
        case 3:
            note("run all background work")
            machine.scheduler.runAll()
        case 4:
            let keyspace = keyspace()
            let range = range()
            note("compact \(keyspace.name) \(range.shown)")
            try keyspace.handle.compact(range)
        default:
            let range = range()
            note("compact all \(range.shown)")
            try database.compact(range)
        }
    }

    // MARK: Keyspaces

    func createKeyspace() throws {
        let taken = Set(keyspaces.map(\.name))
        guard let name = ["apple", "berry", "cherry", "damson"].first(where: { !taken.contains($0) }) else { return }
        let (options, mergeOperator) = shape.keyspaceOptions(&random)
        note("create \(name): \(options) \(mergeOperator.map { "\($0)" } ?? "")")
        structuralUnderWay = .create(name, options, mergeOperator)
        let handle = try database.keyspace(name, options: options)
        structuralUnderWay = nil
        keyspaces.append(ModelKeyspace(name, options, mergeOperator, handle: handle))
    }

    func changeKeyspaces() throws {
        switch random.below(10) {
        case 0..<4: try createKeyspace()
        case 4..<6 where keyspaces.count > 1:
            let keyspace = keyspace()
            note("drop \(keyspace.name)")
            structuralUnderWay = .drop(keyspace.name)
            try database.dropKeyspace(keyspace.name)
            structuralUnderWay = nil
            try forget(keyspace)
        default:
            let keyspace = keyspace()
            var options = keyspace.options
            shape.vary(&options, &random)
            note("change \(keyspace.name) to \(options)")
            structuralUnderWay = .change(keyspace.name, options)
            keyspace.openHandle = try database.keyspace(keyspace.name, options: options)
            structuralUnderWay = nil
            keyspace.options = options
        }
    }

    /// The keyspace is dropped: whatever still refers to it gets `closed`.
    private func forget(_ keyspace: ModelKeyspace) throws {
        keyspaces.removeAll { $0 === keyspace }
        let key = key()
        try expect(.closed) { _ = try keyspace.handle.get(key) }
        try expect(.closed) { try keyspace.handle.put(key, key) }
        for pinned in snapshots { try expect(.closed) { _ = try pinned.snapshot.get(key, in: keyspace.handle) } }
        for cursor in cursors where cursor.keyspace === keyspace { try expect(.closed) { try cursor.cursor.next() } }
        cursors.removeAll { $0.keyspace === keyspace }
    }

    func expect(_ kind: ApusError.Kind, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as ApusError where error.kind == kind {
            return
        }
        throw HistoryFailure("a call did not throw \(kind)")
    }

    // MARK: Checks

    /// Compares everything, both ways.
    func compareAll(_ what: String) throws {
        for keyspace in keyspaces {
            let (time, sequence) = (now, lastSequence)
            let expected = keyspace.entries(.all, at: sequence, time: time)
            let forward = try keyspace.handle.entries()
            try check(forward, expected, keyspace, at: sequence, time: time, "\(what): forward")
            let backward = try keyspace.handle.entries(reversed: true)
            guard backward == forward.reversed() else {
                throw HistoryFailure("\(what): backward and forward differ in \(keyspace.name)")
            }
        }
    }

    private func verify() throws {
        let report = try database.verify()
        guard report.isSound else { throw HistoryFailure("verify: \(report.problems[0])") }
        guard report.foreignNames.isEmpty, report.leftovers.isEmpty else {
            throw HistoryFailure("verify: names \(report.foreignNames) \(report.leftovers)")
        }
        let statistics = database.statistics
        guard statistics.keyspaces.map(\.name) == keyspaces.map(\.name).sorted(),
            statistics.lastSequence == lastSequence, statistics.openSnapshots == snapshots.count
        else { throw HistoryFailure("statistics: \(statistics)") }
        let tableCount = statistics.keyspaces.reduce(0) { $0 + $1.levels.reduce(0) { $0 + $1.tables } }
        let entryCount = statistics.keyspaces.reduce(0) { $0 + $1.levels.reduce(0) { $0 + $1.entries } }
        guard tableCount == report.tables, entryCount == report.entries else {
            throw HistoryFailure(
                "statistics say \(tableCount) tables and \(entryCount) entries, verify \(report.tables) and "
                    + "\(report.entries)")
        }
    }

    /// Everything is compared, closed, looked at from outside, and compared again after opening.
    func finish() throws {
        machine.disk.removeFaults()
        // From here on the steps before, and what ran beside them, decide nothing.
        random = TestRandom(seed: seed)
        note("the end")
        isEnding = true
        if isFaulty { try recoverFromFailure() }
        try compareAll("at the end")
        for pinned in snapshots { try check(pinned) }
        machine.scheduler.runAll()
        try compareAll("after background work")
        try verify()
        if random.chance(30) {
            try database.compact()
            try compareAll("after compaction")
            try verify()
        }
        try closeCleanly()
        try checkDirectory()
        settleClock()
        letGoOfDatabase()
        guard machine.disk.openFileCount == 0 else {
            throw HistoryFailure("\(machine.disk.openFileCount) files are still open")
        }
        machine.restart()
        shape.options.isReadOnly = random.chance(30)
        try reopen(required: lastSequence, wasClean: true)
        try closeCleanly()
    }

    func letGo() {
        snapshots = []
        cursors = []
    }

    /// Whatever keeps the database alive goes.
    func letGoOfDatabase() {
        letGo()
        for keyspace in keyspaces { keyspace.openHandle = nil }
        database = nil
    }

    func closeCleanly() throws {
        letGo()
        machine.scheduler.runAll()
        note("close")
        try database.close()
        machine.scheduler.runAll()
        try expect(.closed) { _ = try keyspaces[0].handle.get([1]) }
    }

    private func checkDirectory() throws {
        guard
            case .database(let content) = try RecoveredState.read(
                directory: Self.directory, fileSystem: machine.disk)
        else { throw HistoryFailure("there is no database after close") }
        // Segments kept for reuse are removed by a close, too.
        guard content.obsoleteFiles.isEmpty, content.foreignNames.isEmpty else {
            throw HistoryFailure(
                "left behind after close: \(content.obsoleteFiles.map(\.string)) \(content.foreignNames)")
        }
    }
}
