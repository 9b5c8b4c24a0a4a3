// The slow second opinion on a keyspace: every version ever written, kept, and a resolver that works out what a reader
// sees by going through all of them. It shares no code with the engine.

@testable import Apus

/// What `merge` does, written again.
enum ModelOperator: CaseIterable {
    case add, append, maximum, setIfAbsent, tail

    /// What the engine is given.
    var engineOperator: any MergeOperator {
        switch self {
        case .add: AddMergeOperator()
        case .append: AppendMergeOperator()
        case .maximum: MaximumMergeOperator()
        case .setIfAbsent: SetIfAbsentMergeOperator()
        case .tail: TailMergeOperator()
        }
    }

    func apply(_ existing: [UInt8]?, _ operand: [UInt8]) -> [UInt8] {
        switch self {
        case .add:
            func number(_ bytes: [UInt8]) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
            let sum = number(existing ?? []) &+ number(operand)
            return (0..<8).map { UInt8(truncatingIfNeeded: sum >> (8 * UInt64($0))) }
        case .append: return (existing ?? []) + operand
        case .maximum:
            guard let existing else { return operand }
            return existing.lexicographicallyPrecedes(operand) ? operand : existing
        case .setIfAbsent: return existing ?? operand
        case .tail: return Array(((existing ?? []) + operand.reversed()).suffix(6))
        }
    }
}

/// An operator of the user's: appends the operand backwards and keeps the last six bytes. Neither commutative nor
/// associative, so any mistake in the order of operands shows.
struct TailMergeOperator: MergeOperator {
    var name: String { "test.tail" }

    func merge(key: RawSpan, existing: RawSpan?, operand: RawSpan, into result: inout [UInt8]) throws {
        var all: [UInt8] = []
        if let existing { all = existing.copied() }
        all += operand.copied().reversed()
        result = Array(all.suffix(6))
    }
}

/// One change, as the model keeps it. Times in ms since 1970; an expiry of 0 is none.
enum ModelChange {
    case put(key: [UInt8], value: [UInt8], expiresAt: UInt64)
    case delete(key: [UInt8])
    case deleteRange(start: [UInt8], end: [UInt8])
    case merge(key: [UInt8], operand: [UInt8], writtenAt: UInt64, expiresAt: UInt64)

    func concerns(_ key: [UInt8]) -> Bool {
        switch self {
        case .put(let own, _, _), .delete(let own), .merge(let own, _, _, _): own == key
        case .deleteRange(let start, let end): !(key < start) && key < end
        }
    }

    func concerns(_ range: KeyRange) -> Bool {
        switch self {
        case .put(let own, _, _), .delete(let own), .merge(let own, _, _, _): range.holds(own)
        case .deleteRange(let start, let end):
            (range.upper.map { start < $0 } ?? true) && (range.lower.map { $0 < end } ?? true)
                && (range.lower == nil || range.lower != range.upper)
        }
    }
}

extension KeyRange {
    func holds(_ key: [UInt8]) -> Bool {
        if let lower, key < lower { return false }
        if let upper, !(key < upper) { return false }
        return true
    }
}

/// One keyspace of the model, from its creation to its being dropped.
final class ModelKeyspace {
    private struct Version {
        var sequence: UInt64
        var change: ModelChange
    }

    let name: String
    var options: KeyspaceOptions
    let mergeOperator: ModelOperator?
    /// False if tables may be dropped for their size or age: then only what must not be seen is known.
    let isExact: Bool
    /// nil between two processes.
    var openHandle: Keyspace?
    var handle: Keyspace { openHandle! }

    private var versions: [[UInt8]: [Version]] = [:]
    private var rangeDeletions: [Version] = []
    private var keys: [[UInt8]] = []

    init(_ name: String, _ options: KeyspaceOptions, _ mergeOperator: ModelOperator?, handle: Keyspace) {
        self.name = name
        self.options = options
        self.mergeOperator = mergeOperator
        openHandle = handle
        if case .fifo(let byteCount, let age) = options.compaction {
            isExact = byteCount >= 1 << 30 && age == nil
        } else {
            isExact = true
        }
    }

    var isEphemeral: Bool { options.isEphemeral }
    var allKeys: [[UInt8]] { keys }

    func apply(_ change: ModelChange, _ sequence: UInt64) {
        let version = Version(sequence: sequence, change: change)
        switch change {
        case .deleteRange: rangeDeletions.append(version)
        case .put(let key, _, _), .delete(let key), .merge(let key, _, _, _):
            if versions[key] == nil { keys.insert(key, at: position(of: key)) }
            versions[key, default: []].append(version)
        }
    }

    /// Forgets everything newer than `sequence`: what a power loss does.
    func truncate(to sequence: UInt64) {
        rangeDeletions.removeAll { $0.sequence > sequence }
        for key in keys {
            versions[key]!.removeAll { $0.sequence > sequence }
            if versions[key]!.isEmpty { versions[key] = nil }
        }
        keys = keys.filter { versions[$0] != nil }
    }

    private func position(of key: [UInt8]) -> Int {
        var (low, high) = (0, keys.count)
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    // MARK: What a reader sees

    /// - Parameters:
    ///   - cut: versions up to here do not exist.
    ///   - own: a transaction's changes, on top of everything.
    func value(
        of key: [UInt8], at sequence: UInt64, time: UInt64, own: [ModelChange] = [], cut: UInt64 = 0
    ) -> [UInt8]? {
        var all = versions[key] ?? []
        for deletion in rangeDeletions where deletion.change.concerns(key) { all.append(deletion) }
        all.sort { $0.sequence < $1.sequence }
        var value: [UInt8]?
        var expiresAt: UInt64 = 0
        func apply(_ change: ModelChange) {
            switch change {
            case .put(_, let new, let expiry): (value, expiresAt) = (new, expiry)
            case .delete, .deleteRange: (value, expiresAt) = (nil, 0)
            case .merge(_, let operand, let writtenAt, let expiry):
                if expiresAt != 0 && expiresAt <= writtenAt { (value, expiresAt) = (nil, 0) }
                value = mergeOperator!.apply(value, operand)
                if expiry != 0 { expiresAt = expiry }
            }
        }
        for version in all where version.sequence > cut && version.sequence <= sequence { apply(version.change) }
        for change in own where change.concerns(key) { apply(change) }
        return expiresAt != 0 && expiresAt <= time ? nil : value
    }

    func entries(
        _ range: KeyRange, at sequence: UInt64, time: UInt64, own: [ModelChange] = []
    ) -> [Entry] {
        var candidates = keys
        for change in own {
            switch change {
            case .put(let key, _, _), .merge(let key, _, _, _): if versions[key] == nil { candidates.append(key) }
            default: break
            }
        }
        if candidates.count > keys.count { candidates = Set(candidates).sorted { $0 < $1 } }
        return candidates.compactMap { key in
            guard range.holds(key) else { return nil }
            return value(of: key, at: sequence, time: time, own: own).map { Entry(key: key, value: $0) }
        }
    }

    /// Whether `found` is possible where tables may have been dropped, oldest first.
    func allows(_ found: [UInt8]?, for key: [UInt8], at sequence: UInt64, time: UInt64) -> Bool {
        let cuts = [0] + (versions[key] ?? []).map(\.sequence) + rangeDeletions.map(\.sequence)
        return cuts.contains { value(of: key, at: sequence, time: time, cut: $0) == found }
    }
}
