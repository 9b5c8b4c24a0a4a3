// Failing calls in a history: errors of the device, no space, syncs that drop what they should have saved, for some
// calls or until the process ends. Operations may then end in an error of the right kind; what was acknowledged stays
// readable, and a database that refuses writes is opened again.

import ApusIO
import ApusSimulation

@testable import Apus

extension ApusError {
    /// Whether a disk that fails explains it.
    var isExplainedByDisk: Bool { [.io, .outOfSpace, .failed].contains(kind) }
}

extension History {
    /// From some later call on the disk fails, for a while.
    func armFailures() throws {
        // Which calls there are depends on the options.
        if shape.variant != nil { return try crash() }
        machine.disk.removeFaults()
        injectFailure(within: 60)
        isFaulty = true
    }

    /// - Parameter limit: how many calls go well at most before the first that fails.
    func injectFailure(within limit: Int) {
        let (skipped, times) = (random.below(limit), random.pick([1, 1, 1, 3, 10, nil]))
        let (inputOutput, noSpace) = (ErrorCode.inputOutput, ErrorCode.noSpace)
        let kind = random.below(7)
        let effect: Fault.Effect
        var operations: Set<IOError.Operation>?
        switch kind {
        case 0, 1: effect = .fail(inputOutput)
        case 2: effect = .fail(noSpace)
        case 3: (effect, operations) = (.failHalfway(noSpace), [.write, .allocate])
        case 4: effect = .failAfterwards(inputOutput)
        case 5: (effect, operations) = (.fail(inputOutput), [.synchronize])
        default:
            (effect, operations) = (.failDroppingUnsynced(inputOutput), [.synchronize])
            losesCache = true
        }
        note("\(effect) after \(skipped) calls, \(times.map { "\($0) times" } ?? "for ever")")
        // Calls that only look fail in the first way alone.
        machine.disk.inject(
            Fault(effect, on: operations, skipping: skipped, times: times) { kind == 0 || $0.isMutation })
    }

    /// A step has ended in an error, and the machine goes on.
    func survive(_ error: ApusError) throws {
        guard isFaulty, error.isExplainedByDisk else {
            throw HistoryFailure("unexpected error: \(error.kind) \(error)")
        }
        note("failed: \(error.kind) \(error)")
        // The one that was being moved stands nowhere.
        cursors = []
        // A refusal leaves nothing behind; after any other error the commits may be there or not.
        if error.kind == .outOfSpace { commitsUnderWay = [] }
        guard commitsUnderWay.isEmpty, structuralUnderWay == nil else { return try recoverFromFailure() }
        do {
            try compareAll("after a failure")
        } catch let error as ApusError where error.isExplainedByDisk {
            note("reads fail: \(error.kind) \(error)")
        }
        if error.kind == .failed || random.chance(20) { try recoverFromFailure() }
    }

    /// The process gives up, in order or not; the disk may have recovered by then.
    /// - Parameter hasClosed: it has tried to give up in order. Another call would find nothing left to do.
    func recoverFromFailure(hasClosed: Bool = false) throws {
        if random.chance(60) { machine.disk.removeFaults() }
        letGo()
        if !hasClosed, random.chance(50) {
            note("close, after a failure")
            do throws(ApusError) {
                try database.close()
                durableSequence = loggedEnds.last ?? durableSequence
            } catch {
                guard error.isExplainedByDisk else { throw HistoryFailure("close: \(error.kind) \(error)") }
            }
        }
        machine.disk.inject(Fault(.stop))
        try recoverFromStop()
    }
}
