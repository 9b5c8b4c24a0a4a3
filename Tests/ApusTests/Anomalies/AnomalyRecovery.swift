// What must hold when a process of the anomaly sweep has ended, in whatever way: the database opens, holds a legal
// state, loses nothing of it any more, and nothing in its directory is left over or missing.

import ApusIO
import ApusSimulation

@testable import Apus

enum AnomalyRecovery {
    /// What an open found.
    struct Found {
        /// The end of the last commit that is there.
        var sequence: UInt64
        var keyspaces: [ModelKeyspace]
    }

    /// How the process ends.
    enum Ending: CaseIterable {
        /// Killed; the page cache stays.
        case kill
        case dropAll, keepAll, orderedNames, anyNames
        /// The fault is gone, and the caller closes the database before the power is lost.
        case close

        var crashMode: CrashMode? {
            switch self {
            case .kill, .close: nil
            case .dropAll: .dropAll
            case .keepAll: .keepAll
            case .orderedNames: .orderedNames
            case .anyNames: .anyNames
            }
        }
    }

    // MARK: - Which state it is

    /// Finds out which of the legal states the database holds; throws `AnomalyFailure` if it is none of them.
    static func state(of database: Database, _ run: AnomalyRun) throws -> Found {
        let sequence = database.engine.visibleSequence.rawValue
        var legal = run.ends.filter { $0 >= run.required }
        if let underWay = run.underWay { legal.append(underWay.last) }
        guard legal.contains(sequence) else {
            throw AnomalyFailure("recovered up to \(sequence), which is none of \(legal)")
        }
        let keyspaces = try keyspaces(of: database, run)
        if let underWay = run.underWay, underWay.last == sequence {
            for (index, write) in underWay.writes.enumerated() {
                write.keyspace.apply(write.change, underWay.first + UInt64(index))
            }
            defer { for write in underWay.writes { write.keyspace.truncate(to: underWay.first - 1) } }
            try compare(database, keyspaces, sequence)
        } else {
            try compare(database, keyspaces, sequence)
        }
        return Found(sequence: sequence, keyspaces: keyspaces)
    }

    private static func compare(_ database: Database, _ keyspaces: [ModelKeyspace], _ sequence: UInt64) throws {
        for keyspace in keyspaces {
            let handle = try database.existingKeyspace(keyspace.name)
            let time = database.engine.clock.now()
            let difference = try AnomalyRun.difference(keyspace, handle, at: sequence, time: time)
            if let difference { throw AnomalyFailure("after opening: \(difference)") }
        }
    }

    private static func keyspaces(of database: Database, _ run: AnomalyRun) throws -> [ModelKeyspace] {
        var expected = run.keyspaces
        let names = Set(database.keyspaceNames)
        switch run.structural {
        case .create(let keyspace) where names.contains(keyspace.rawValue):
            if !expected.contains(where: { $0.name == keyspace.rawValue }) {
                expected.append(keyspace.model(handle: try database.existingKeyspace(keyspace.rawValue)))
                expected.last!.openHandle = nil
            }
        case .drop(let name) where !names.contains(name): expected.removeAll { $0.name == name }
        default: break
        }
        guard names == Set(expected.map(\.name)) else {
            throw AnomalyFailure("keyspaces \(names.sorted()) instead of \(expected.map(\.name).sorted())")
        }
        return expected
    }

    // MARK: - After the end

    /// Ends the process of `run` in several ways, each on a copy of the disk, and checks what is left. Returns how many
    /// recoveries were made.
    static func check(_ run: AnomalyRun, _ endings: [Ending], losesCache: Bool) throws -> Int {
        run.machine.disk.removeFaults()
        for ending in endings {
            do {
                try check(run, ending, losesCache: losesCache)
            } catch {
                throw AnomalyFailure("\(ending): \(error)")
            }
        }
        return endings.count
    }

    private static func check(_ run: AnomalyRun, _ ending: Ending, losesCache: Bool) throws {
        let clock = SimulatedClock(wallMilliseconds: run.machine.clock.wallMilliseconds())
        if let database = run.database { clock.setWall(milliseconds: database.engine.clock.now()) }
        // What an ended process required was settled then.
        let wasRunning = run.database != nil
        let requiredBefore = run.required
        defer { run.required = requiredBefore }
        switch ending {
        case .close:
            guard wasRunning else { return }
            try close(run)
        case .keepAll where losesCache: run.required = run.durableSequence
        case .kill, .keepAll: if wasRunning { run.required = run.lastSequence }
        default: run.required = run.durableSequence
        }
        let disk = run.machine.disk.clone(seed: AnomalyRun.seed, clock: clock)
        switch ending {
        case .kill: disk.restart()
        case .close: disk.crash(.dropAll)
        default: disk.crash(ending.crashMode!)
        }
        try checkLifeAfter(AnomalyMachine(disk: disk, clock: clock), run)
    }

    /// The caller gives up on the database in order, with a disk that works again.
    private static func close(_ run: AnomalyRun) throws {
        let isEnding = run.isEnding
        do throws(ApusError) {
            try run.database!.close()
            if !isEnding { run.durableSequence = run.lastSequence }
        } catch {
            guard error.kind == .failed else { throw AnomalyFailure("close: \(error.kind) \(error)") }
        }
        try run.endProcess()
        run.required = run.durableSequence
    }

    private static func checkLifeAfter(_ start: AnomalyMachine, _ run: AnomalyRun) throws {
        var machine = start
        let found: Found
        let firstSequence: UInt64
        let mark = AnomalyWrite.key(900)
        do {
            let database = try machine.open()
            found = try state(of: database, run)
            try checkFiles(machine, database)
            let marks = try database.keyspace("mark")
            try marks.put(mark, mark)
            firstSequence = database.engine.visibleSequence.rawValue
            guard firstSequence == found.sequence + 1 else {
                throw AnomalyFailure("sequence \(firstSequence) was given after \(found.sequence)")
            }
            machine.disk.inject(Fault(.stop))
            try? database.close()
        }
        machine.disk.crash(.dropAll)
        try checkOnceMore(&machine, run, found, sequence: firstSequence, mark: mark)
        machine.disk.restart()
        try checkOnceMore(&machine, run, found, sequence: firstSequence, mark: mark)
        guard machine.disk.openFileCount == 0 else { throw AnomalyFailure("files are open after the end") }
    }

    /// Everything that the open before returned, and what was written after it, is there.
    private static func checkOnceMore(
        _ machine: inout AnomalyMachine, _ run: AnomalyRun, _ found: Found, sequence: UInt64, mark: [UInt8]
    ) throws {
        machine.disk.removeFaults()
        let database = try machine.open()
        let visible = database.engine.visibleSequence.rawValue
        guard visible == sequence else { throw AnomalyFailure("sequence \(sequence) became \(visible)") }
        guard try database.existingKeyspace("mark").get(mark) == mark else {
            throw AnomalyFailure("what was written after the recovery is gone")
        }
        if let underWay = run.underWay, underWay.last == found.sequence {
            for (index, write) in underWay.writes.enumerated() {
                write.keyspace.apply(write.change, underWay.first + UInt64(index))
            }
        }
        defer {
            if let underWay = run.underWay {
                for write in underWay.writes { write.keyspace.truncate(to: underWay.first - 1) }
            }
        }
        try compare(database, found.keyspaces, found.sequence)
        try database.close()
        machine.scheduler.runAll()
    }

    /// The directory holds what the live version names, and nothing else.
    private static func checkFiles(_ machine: AnomalyMachine, _ database: Database) throws {
        let report = try database.verify()
        guard report.isSound else { throw AnomalyFailure("verify: \(report.problems[0])") }
        guard
            case .database(let content) = try RecoveredState.read(
                directory: AnomalyRun.directory, fileSystem: machine.disk)
        else { throw AnomalyFailure("there is no database") }
        guard content.obsoleteFiles.isEmpty, content.foreignNames.isEmpty else {
            throw AnomalyFailure("left over: \(content.obsoleteFiles.map(\.string)) \(content.foreignNames)")
        }
    }
}

/// A machine that goes on with a copy of another one's disk.
struct AnomalyMachine {
    let disk: SimulatedDisk
    let clock: SimulatedClock
    private(set) var scheduler: SimulatedScheduler

    init(disk: SimulatedDisk, clock: SimulatedClock) {
        self.disk = disk
        self.clock = clock
        scheduler = SimulatedScheduler(seed: AnomalyRun.seed, clock: clock)
    }

    mutating func open() throws(ApusError) -> Database {
        scheduler.shutDown()
        scheduler = SimulatedScheduler(seed: AnomalyRun.seed, clock: clock)
        let environment = Environment(
            fileSystem: disk, clock: clock, scheduler: scheduler, random: SeededRandom(seed: AnomalyRun.seed))
        return try Database.open(at: AnomalyRun.directory, options: AnomalyRun.options, environment: environment)
    }
}
