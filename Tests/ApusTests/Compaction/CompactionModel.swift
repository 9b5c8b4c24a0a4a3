// The slow second opinion that compaction is held against: entries as plain values, and a resolver that works out what
// a reader at a snapshot and a time sees, by looking at every entry.

import ApusIO

@testable import Apus

/// A deterministic generator (SplitMix64). Tests print its seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
}

/// An entry of any kind but range deletion.
struct PlainEntry: Hashable {
    var key: [UInt8]
    var trailer: Trailer
    var payload: [UInt8]

    var sequence: SequenceNumber { trailer.sequence }

    static func ascending(_ a: PlainEntry, _ b: PlainEntry) -> Bool {
        a.key == b.key ? a.trailer.rawValue > b.trailer.rawValue : a.key.lexicographicallyPrecedes(b.key)
    }
}

/// Some entries and range deletions: a memtable or table as plain values.
struct PlainSource {
    var entries: [PlainEntry] = []
    var deletions: [RangeDeletion] = []

    /// What the manifest would know about a table of these.
    func metadata(number: FileNumber) -> TableMetadata? {
        var bounds: KeyBounds?
        for entry in entries {
            let point = KeyBounds(smallest: entry.key, largest: entry.key)
            bounds = bounds?.union(point) ?? point
        }
        for deletion in deletions {
            let span = KeyBounds(smallest: deletion.start, largest: deletion.end, largestIsExclusive: true)
            bounds = bounds?.union(span) ?? span
        }
        guard let bounds else { return nil }
        var metadata = TableMetadata.plain(number)
        metadata.smallest = bounds.smallest
        metadata.largest = bounds.largest
        metadata.largestIsExclusive = bounds.largestIsExclusive
        return metadata
    }

    mutating func add(_ other: PlainSource) {
        entries += other.entries
        deletions += other.deletions
    }

    var sorted: [PlainEntry] { entries.sorted(by: PlainEntry.ascending) }
}

extension TableMetadata {
    /// A table for the picker's tests: what is not said is unremarkable.
    static func plain(
        _ number: FileNumber,
        _ smallest: String = "a",
        _ largest: String = "z",
        byteCount: UInt64 = 100,
        entries: UInt64 = 10,
        deletions: UInt64 = 0,
        rangeDeletions: UInt64 = 0,
        sequences: ClosedRange<UInt64> = 1...10,
        createdAt: UInt64 = 0,
        earliestExpiry: UInt64 = 0,
        isExclusive: Bool = false,
        blobs: [BlobFileShare] = []
    ) -> TableMetadata {
        TableMetadata(
            number: number,
            byteCount: byteCount,
            checksum: 0,
            smallest: Array(smallest.utf8),
            largest: Array(largest.utf8),
            largestIsExclusive: isExclusive,
            smallestSequence: SequenceNumber(sequences.lowerBound),
            largestSequence: SequenceNumber(sequences.upperBound),
            entryCount: entries,
            deletionCount: deletions,
            rangeDeletionCount: rangeDeletions,
            rawByteCount: byteCount,
            createdAt: createdAt,
            earliestExpiry: earliestExpiry,
            blobReferences: blobs
        )
    }
}

/// Entries of an array, for reading forward.
final class PlainCursor: EntryCursor {
    private let entries: [PlainEntry]
    private var position = 0
    /// Thrown instead of yielding the entry at this position.
    private let failure: (position: Int, error: ApusError)?
    private let memory: UnsafeMutableRawBufferPointer
    private var views: [(key: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer)] = []

    init(_ source: PlainSource, failure: (position: Int, error: ApusError)? = nil) {
        entries = source.sorted
        self.failure = failure
        memory = .allocate(byteCount: entries.reduce(1) { $0 + $1.key.count + $1.payload.count }, alignment: 8)
        super.init()
        newestSequence = entries.map(\.sequence).max() ?? .zero
        var offset = 0
        func store(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
            let target = UnsafeMutableRawBufferPointer(rebasing: memory[offset..<(offset + bytes.count)])
            target.copyBytes(from: bytes)
            offset += bytes.count
            return UnsafeRawBufferPointer(target)
        }
        for entry in entries { views.append((store(entry.key), store(entry.payload))) }
    }

    deinit { memory.deallocate() }

    override func seekToFirst() throws(ApusError) { try go(to: 0) }
    override func seek(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) {
        let target = entries.firstIndex { entry in
            entry.key.withUnsafeBytes { compareInternal($0, entry.trailer, key, trailer) } >= 0
        }
        try go(to: target ?? entries.count)
    }
    override func next() throws(ApusError) { try go(to: position + 1) }

    private func go(to target: Int) throws(ApusError) {
        if let failure, failure.position == target { throw failure.error }
        position = target
        isValid = target < entries.count
        guard isValid else { return }
        key = views[target].key
        trailer = entries[target].trailer
        payload = views[target].payload
    }
}

/// Appends the operand; refuses operands that begin with "!".
struct AppendingOperator: MergeOperator {
    struct Refused: Error {}

    var name: String { "append" }

    func merge(key: RawSpan, existing: RawSpan?, operand: RawSpan, into result: inout [UInt8]) throws {
        let bytes = operand.withUnsafeBytes { [UInt8]($0) }
        if bytes.first == UInt8(ascii: "!") { throw Refused() }
        if let existing { existing.withUnsafeBytes { result.append(contentsOf: $0) } }
        result += bytes
    }
}

/// What a reader sees of a key.
enum Sight: Hashable {
    case absent
    case value([UInt8])
    case mergeFailed
}

extension PlainSource {
    /// Only what concerns `key`.
    func about(_ key: [UInt8]) -> PlainSource {
        PlainSource(
            entries: entries.filter { $0.key == key }.sorted { $0.sequence > $1.sequence },
            deletions: deletions.filter { $0.start <= key && key < $0.end }
        )
    }

    /// Every time at which something that is visible may change, from `first` on.
    func times(from first: UInt64) -> [UInt64] {
        var times: Set<UInt64> = [first]
        for entry in entries {
            switch entry.plainPayload {
            case .value(_, let expiresAt), .separated(_, let expiresAt), .merge(_, _, let expiresAt):
                if expiresAt > first { times.formUnion([expiresAt - 1, expiresAt]) }
            case .deletion: continue
            }
        }
        return times.sorted()
    }

    /// What a reader at `snapshot` and `time` sees of `key`, worked out the slow way.
    func sight(
        of key: [UInt8],
        at snapshot: SequenceNumber,
        _ time: UInt64,
        blob: (BlobReference) throws -> [UInt8] = { _ in throw AppendingOperator.Refused() }
    ) throws -> Sight {
        precondition(entries.allSatisfy { $0.key == key }, "ask about one key only")
        let deleted = deletions.filter { $0.sequence <= snapshot }.map(\.sequence).max() ?? .zero
        var state: (value: [UInt8], expiresAt: UInt64)?
        var operands: [(bytes: [UInt8], writtenAt: UInt64, expiresAt: UInt64)] = []
        search: for version in entries where version.sequence <= snapshot {
            // Sequence zero is below every range deletion that is still there, as it was before it became zero.
            if version.sequence < deleted { break }
            switch version.plainPayload {
            case .merge(let bytes, let writtenAt, let expiresAt):
                operands.append((bytes, writtenAt, expiresAt))
            case .value(let bytes, let expiresAt):
                state = (bytes, expiresAt)
                break search
            case .separated(let reference, let expiresAt):
                state = (try blob(reference), expiresAt)
                break search
            case .deletion:
                break search
            }
        }
        var failed = false
        for operand in operands.reversed() {
            if let expiresAt = state?.expiresAt, expiresAt != 0, expiresAt <= operand.writtenAt {
                state = nil
                failed = false
            }
            if operand.bytes.first == UInt8(ascii: "!") { failed = true }
            let expiresAt = operand.expiresAt != 0 ? operand.expiresAt : state?.expiresAt ?? 0
            state = ((state?.value ?? []) + operand.bytes, expiresAt)
        }
        if failed { return .mergeFailed }
        guard let state, state.expiresAt == 0 || state.expiresAt > time else { return .absent }
        return .value(state.value)
    }
}

/// A payload as plain values.
enum PlainPayload {
    case value([UInt8], expiresAt: UInt64)
    case separated(BlobReference, expiresAt: UInt64)
    case deletion
    case merge([UInt8], writtenAt: UInt64, expiresAt: UInt64)
}

extension PlainEntry {
    var plainPayload: PlainPayload {
        payload.withUnsafeBytes { bytes in
            switch EntryPayload(trailer, bytes)! {
            case .value(let value, let expiresAt): .value([UInt8](value), expiresAt: expiresAt)
            case .separated(let reference, let expiresAt): .separated(reference, expiresAt: expiresAt)
            case .merge(let operand, let writtenAt, let expiresAt):
                .merge([UInt8](operand), writtenAt: writtenAt, expiresAt: expiresAt)
            case .deletion, .rangeDeletion: .deletion
            }
        }
    }

    static func value(_ key: [UInt8], _ sequence: UInt64, _ value: [UInt8], expiresAt: UInt64 = 0) -> PlainEntry {
        var payload: [UInt8] = []
        if expiresAt != 0 { payload.appendLittleEndian(expiresAt) }
        payload += value
        let kind: EntryKind = expiresAt == 0 ? .value : .expiringValue
        return PlainEntry(key: key, trailer: Trailer(SequenceNumber(sequence), kind), payload: payload)
    }

    static func deletion(_ key: [UInt8], _ sequence: UInt64) -> PlainEntry {
        PlainEntry(key: key, trailer: Trailer(SequenceNumber(sequence), .deletion), payload: [])
    }

    static func merge(
        _ key: [UInt8],
        _ sequence: UInt64,
        _ operand: [UInt8],
        writtenAt: UInt64,
        expiresAt: UInt64 = 0
    ) -> PlainEntry {
        var payload: [UInt8] = []
        payload.appendLittleEndian(writtenAt)
        payload.appendLittleEndian(expiresAt)
        payload += operand
        return PlainEntry(key: key, trailer: Trailer(SequenceNumber(sequence), .mergeOperand), payload: payload)
    }
}

extension [UInt8] {
    static func <= (a: [UInt8], b: [UInt8]) -> Bool { !b.lexicographicallyPrecedes(a) }
    static func < (a: [UInt8], b: [UInt8]) -> Bool { a.lexicographicallyPrecedes(b) }
}

/// Random histories over a few keys.
struct HistoryGenerator {
    var generator: SeededGenerator
    var keys: [[UInt8]]
    var hasMerges = true
    var hasExpiry = true
    var largestValue = 6
    private var sequence: UInt64 = 0
    /// Times of writes never go back, as the engine sees to.
    private(set) var clock: UInt64 = 1

    init(seed: UInt64, keyCount: Int) {
        var random = SeededGenerator(seed: seed)
        let alphabet: [UInt8] = [0x00, 0x01, 0x61, 0xFE, 0xFF]
        var keys: Set<[UInt8]> = []
        while keys.count < keyCount {
            let count = Int.random(in: 1...3, using: &random)
            keys.insert((0..<count).map { _ in alphabet.randomElement(using: &random)! })
        }
        generator = random
        self.keys = keys.sorted { $0 < $1 }
    }

    var lastSequence: SequenceNumber { SequenceNumber(sequence) }

    /// `count` operations, the next ones in time. Those of a narrow source keep to a few neighbouring keys, so that it
    /// spans little.
    mutating func source(_ count: Int, isNarrow: Bool = false) -> PlainSource {
        var source = PlainSource()
        var keys = keys
        if isNarrow {
            let start = Int.random(in: 0...(keys.count - 3), using: &generator)
            keys = Array(keys[start..<(start + 3)])
        }
        for _ in 0..<count {
            sequence += 1
            if generator.chance(20) { clock += UInt64.random(in: 1...5, using: &generator) }
            let key = keys.randomElement(using: &generator)!
            let value = (0..<Int.random(in: 0...largestValue, using: &generator)).map { _ in
                UInt8.random(in: 0x30...0x7A, using: &generator)
            }
            let expiresAt =
                hasExpiry && generator.chance(35) ? clock + UInt64.random(in: 1...20, using: &generator) : 0
            switch Int.random(in: 0..<100, using: &generator) {
            case ..<12:
                source.entries.append(.deletion(key, sequence))
            case ..<20:
                let other = keys.randomElement(using: &generator)!
                guard key != other else { continue }
                let (start, end) = key < other ? (key, other) : (other, key)
                source.deletions.append(
                    RangeDeletion(start: start, end: end, sequence: SequenceNumber(sequence))
                )
            case ..<60 where hasMerges:
                let operand = generator.chance(5) ? [UInt8(ascii: "!")] : value
                source.entries.append(.merge(key, sequence, operand, writtenAt: clock, expiresAt: expiresAt))
            default:
                source.entries.append(.value(key, sequence, value, expiresAt: expiresAt))
            }
        }
        return source
    }
}
