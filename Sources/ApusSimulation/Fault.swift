// Faults a test asks the simulated disk for: which calls they strike, and what happens then.

import ApusIO

/// One call to the simulated disk, as faults and traces see it.
public struct DiskOperation: Sendable, Equatable {
    /// Its number among all calls, from zero.
    public var index: Int
    public var kind: IOError.Operation
    public var path: String
    /// For reads and writes: where.
    public var offset: UInt64
    /// For reads, writes and allocations: how many bytes.
    public var byteCount: UInt64
    /// True if the call may change what the disk holds or what a crash leaves of it.
    public var isMutation: Bool
}

extension DiskOperation: CustomStringConvertible {
    public var description: String {
        switch kind {
        case .read, .write: "#\(index) \(kind.rawValue) \(path) [\(offset), +\(byteCount)]"
        case .allocate, .truncate: "#\(index) \(kind.rawValue) \(path) to \(byteCount)"
        default: "#\(index) \(kind.rawValue) \(path)"
        }
    }
}

/// Something that goes wrong on purpose.
///
/// ```swift
/// disk.inject(Fault(.fail(ErrorCode.noSpace), on: [.write], times: nil) { $0.path.hasSuffix(".log") })
/// disk.inject(Fault(.stop, skipping: 17) { $0.isMutation })   // the machine dies at the 18th change
/// ```
public struct Fault: Sendable {
    public enum Effect: Sendable, Equatable {
        /// The call fails with this error number (see `ErrorCode`) and does nothing.
        case fail(Int32)
        /// A write or allocation does its first half and fails; other calls do nothing and fail.
        case failHalfway(Int32)
        /// The call does its work and reports failure all the same.
        case failAfterwards(Int32)
        /// A sync fails as on Linux: the unsynced bytes count as written from now on, reads see them, no later sync
        /// saves them, and a crash drops them. Other calls fail as with `fail`.
        case failDroppingUnsynced(Int32)
        /// The call reports success and does nothing: a lost write, a sync that lies. Calls that return something
        /// (reads, `open`, `list`, `status`, `lock`) are not affected.
        case ignore
        /// A read or write goes this many bytes astray; a start before the file's is the start.
        case misdirect(by: Int)
        /// A bit, chosen by the seed, of what is read or written is wrong.
        case flipBit
        /// The call takes this long, by the simulated clock, and then proceeds (also into another fault).
        case delay(nanoseconds: UInt64)
        /// The machine stops during the call: a change is under way and unsynced, this and every later call fails,
        /// and `crash` or `restart` decides what is left.
        case stop
    }

    let effect: Effect
    let operations: Set<IOError.Operation>?
    let probability: Double
    let matches: @Sendable (DiskOperation) -> Bool
    var skipsLeft: Int
    /// nil: without end.
    var timesLeft: Int?

    /// A fault that strikes the calls of these kinds (nil: all) for which `matches` is true, after `skipping` such
    /// calls, `times` times (nil: for ever), each time with the given probability.
    /// `matches` runs inside the disk: it must not call it.
    public init(
        _ effect: Effect,
        on operations: Set<IOError.Operation>? = nil,
        skipping: Int = 0,
        times: Int? = 1,
        probability: Double = 1,
        where matches: @escaping @Sendable (DiskOperation) -> Bool = { _ in true }
    ) {
        self.effect = effect
        self.operations = operations
        self.probability = probability
        self.matches = matches
        skipsLeft = skipping
        timesLeft = times
    }

    /// True if it strikes now; counts what it has skipped and struck.
    mutating func strikes(_ operation: DiskOperation, _ generator: inout SeededGenerator) -> Bool {
        if timesLeft == 0 { return false }
        if let operations, !operations.contains(operation.kind) { return false }
        guard matches(operation) else { return false }
        if skipsLeft > 0 {
            skipsLeft -= 1
            return false
        }
        if probability < 1, !generator.chance(probability) { return false }
        if let left = timesLeft { timesLeft = left - 1 }
        return true
    }
}
