// What a damaged database may answer: the right data, or an error that names a file; never anything else, also not in
// the part of a scan before the error, nor after a writer has opened it and compacted what it could.

import ApusIO
import ApusSimulation

@testable import Apus

struct CorruptionFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Everything that was read of one keyspace, up to an error.
private struct KeyspaceReading {
    var forward: [Entry] = []
    var isForwardComplete = false
    var backward: [Entry] = []
    var isBackwardComplete = false
    /// nil: there is no such key.
    var gets: [[UInt8]: [UInt8]?] = [:]
    var isEveryGetAnswered = true

    var isComplete: Bool { isForwardComplete && isBackwardComplete && isEveryGetAnswered }

    func agrees(with expected: [Entry]) -> Bool {
        guard Self.agrees(forward, isForwardComplete, expected) else { return false }
        guard Self.agrees(backward, isBackwardComplete, expected.reversed()) else { return false }
        let values = Dictionary(uniqueKeysWithValues: expected.map { ($0.key, $0.value) })
        return gets.allSatisfy { values[$0] == $1 }
    }

    private static func agrees(_ found: [Entry], _ isComplete: Bool, _ expected: [Entry]) -> Bool {
        isComplete ? found == expected : expected.starts(with: found)
    }
}

extension CorruptionSample {
    enum Outcome {
        case right
        /// As after a crash that lost the unsynced end of the log.
        case shortened
        case refused
    }

    /// More than anything here needs: a larger read, or more of them, is a wild length or an endless loop.
    private static let largestRead: UInt64 = 1 << 20
    private static let mostOperations = 20_000

    /// Opens the database after `mutation`, reads everything, and judges. A writer works on a copy of the disk.
    func check(_ mutation: CorruptionMutation, isReadOnly: Bool) throws -> Outcome {
        try with(mutation.change) {
            let disk = isReadOnly ? machine.disk : machine.disk.clone(seed: 33, clock: machine.clock)
            let scheduler = SimulatedScheduler(seed: 34, clock: machine.clock)
            defer { scheduler.shutDown() }
            disk.inject(
                Fault(.fail(ErrorCode.inputOutput), on: [.read], times: nil) { $0.byteCount > Self.largestRead })
            disk.inject(Fault(.fail(ErrorCode.inputOutput), skipping: Self.mostOperations, times: nil))
            defer { disk.removeFaults() }
            let environment = Environment(
                fileSystem: disk, clock: machine.clock, scheduler: scheduler, random: SeededRandom(seed: 35))
            let legal = legalStates(mutation.change)
            do {
                let database = try open(isReadOnly: isReadOnly, in: environment)
                defer { try? database.close() }
                let outcome = try judge(database, legal)
                if isReadOnly { return outcome }
                // What compaction cannot read, it must leave as it is.
                scheduler.runAll()
                let compacted = Result(catching: { () throws(ApusError) in try database.compact() })
                if case .failure(let error) = compacted { try accept(error, isWriting: true) }
                return try judge(database, legal)
            } catch let error as ApusError {
                try accept(error)
                return .refused
            }
        }
    }

    /// Damage names the file that has it.
    private func accept(_ error: ApusError, isWriting: Bool = false) throws {
        if isWriting, error.kind == .failed { return }
        guard error.kind == .corruption, let file = error.file, file.hasPrefix(Self.directory), !error.message.isEmpty
        else { throw CorruptionFailure("\(error.kind) \(error)") }
    }

    private func judge(_ database: Database, _ legal: [Contents]) throws -> Outcome {
        guard database.keyspaceNames == ["large", "plain"] else {
            throw CorruptionFailure("the keyspaces are \(database.keyspaceNames)")
        }
        var readings: [String: KeyspaceReading] = [:]
        var isRefused = false
        for name in database.keyspaceNames {
            let reading = try read(try database.existingKeyspace(name))
            readings[name] = reading
            if !reading.isComplete { isRefused = true }
        }
        guard let index = legal.firstIndex(where: { state in readings.allSatisfy { $1.agrees(with: state[$0]!) } })
        else {
            let wrong = readings.filter { !$1.agrees(with: legal[0][$0]!) }.keys.sorted()
            throw CorruptionFailure("wrong data in \(wrong)")
        }
        return isRefused ? .refused : index == 0 ? .right : .shortened
    }

    private func read(_ keyspace: Keyspace) throws -> KeyspaceReading {
        var reading = KeyspaceReading()
        if let error = collect(keyspace, reversed: false, &reading.forward) {
            try accept(error)
        } else {
            reading.isForwardComplete = true
        }
        if let error = collect(keyspace, reversed: true, &reading.backward) {
            try accept(error)
        } else {
            reading.isBackwardComplete = true
        }
        for key in history[keyspace.name]!.keys {
            switch Result(catching: { () throws(ApusError) in try keyspace.get(key) }) {
            case .success(let value): reading.gets.updateValue(value, forKey: key)
            case .failure(let error):
                try accept(error)
                reading.isEveryGetAnswered = false
            }
        }
        return reading
    }

    /// Collects the entries up to an error, which is returned.
    private func collect(_ keyspace: Keyspace, reversed: Bool, _ entries: inout [Entry]) -> ApusError? {
        do throws(ApusError) {
            let cursor = try keyspace.makeCursor()
            if reversed { try cursor.seekToLast() } else { try cursor.seekToFirst() }
            while cursor.isValid {
                entries.append(Entry(key: cursor.key, value: try cursor.value()))
                if reversed { try cursor.previous() } else { try cursor.next() }
            }
            return nil
        } catch {
            return error
        }
    }
}
