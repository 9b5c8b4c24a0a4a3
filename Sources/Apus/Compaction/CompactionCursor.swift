// Merged entries in, survivors out: the one place that decides what a flush or compaction keeps.
//
// The source yields each key's versions newest first. Per version, in this order:
//   1. above the newest visible sequence: kept as it is;
//   2. in a stripe where a newer state of the key stands already, or under a range deletion of its own stripe: dropped;
//   3. a deletion, or a value that has expired for every reader: the state of its stripe. It is dropped if nothing older
//      can be left of the key, else kept as a deletion;
//   4. a value: the state of its stripe, kept. Large ones move to a blob file; in the oldest stripe, with nothing
//      beneath, the sequence number becomes zero;
//   5. a merge operand: collected with the older operands of its stripe down to their base. With the base at hand, or
//      provably none, they become one value (which then goes through 3 and 4); else, or if the operator fails, all are
//      kept as they are, and a reader gets the operator's error.
//
// Nothing is ever folded or dropped across a stripe's boundary, which is what keeps every snapshot's view.

import ApusIO

/// Walks the entries that a compaction writes. One thread; forward only. `key`, `trailer` and `payload` are valid until
/// `next`.
final class CompactionCursor {
    @exclusivity(unchecked) private(set) var isValid = false
    @exclusivity(unchecked) private(set) var key = UnsafeRawBufferPointer(start: nil, count: 0)
    @exclusivity(unchecked) private(set) var trailer = Trailer(rawValue: 0)
    @exclusivity(unchecked) private(set) var payload = UnsafeRawBufferPointer(start: nil, count: 0)
    /// True for the first entry of its user key.
    @exclusivity(unchecked) private(set) var isFirstOfKey = false
    @exclusivity(unchecked) private(set) var counts = CompactionCounts()

    private let source: EntryCursor
    @exclusivity(unchecked) private var rules: CompactionRules
    private let values: ValueSeparation?
    private let checkpoint: (CompactionCounts) throws(ApusError) -> Void
    private let hasRangeDeletions: Bool
    private let isAtBottom: Bool

    /// A copy of the current user key, which outlives the source's position.
    @exclusivity(unchecked) private var keyBytes = RawBuffer(capacity: 256)
    @exclusivity(unchecked) private var hasKey = false
    /// The source's current entry has been dealt with.
    @exclusivity(unchecked) private var isConsumed = false
    /// The stripe in which a newer state of the current key stands already; -1 before any.
    @exclusivity(unchecked) private var shadowedStripe = -1
    /// The kind of the current key's last kept entry, nil before any.
    @exclusivity(unchecked) private var keptKind: EntryKind?
    /// Entries of the current key that come next, before the source goes on.
    @exclusivity(unchecked) private var queue: [QueuedEntry] = []
    @exclusivity(unchecked) private var queuePosition = 0
    @exclusivity(unchecked) private var chain = MergeChain()
    @exclusivity(unchecked) private var payloadBytes = RawBuffer(capacity: 256)

    private struct QueuedEntry {
        var trailer: Trailer
        var payload: [UInt8]
    }

    /// - Parameters:
    ///   - source: the merged inputs.
    ///   - values: moves large values out of the tree; nil leaves values and references where they are.
    ///   - checkpoint: called for every 1024 entries read, kept or not; an error it throws ends the walk.
    init(
        source: EntryCursor,
        rules: CompactionRules,
        values: ValueSeparation?,
        checkpoint: @escaping (CompactionCounts) throws(ApusError) -> Void = { _ in }
    ) {
        self.source = source
        self.rules = rules
        self.values = values
        self.checkpoint = checkpoint
        hasRangeDeletions = !rules.rangeDeletions.isEmpty
        isAtBottom = rules.elision.isAtBottom && rules.targetLevel > 0
    }

    /// Goes to the first survivor.
    func seekToFirst() throws(ApusError) {
        try source.seekToFirst()
        hasKey = false
        isConsumed = false
        try next()
    }

    /// Goes to the next survivor.
    func next() throws(ApusError) {
        isValid = false
        while true {
            if queuePosition < queue.count {
                let entry = queue[queuePosition]
                queuePosition += 1
                return try keep(entry.trailer, copying: entry.payload)
            }
            try advanceIfConsumed()
            guard source.isValid else { return }
            if !isAtCurrentKey { beginKey() }
            if try step() { return }
        }
    }

    // MARK: - The source

    private var isAtCurrentKey: Bool { source.isValid && hasKey && equalBytes(source.key, keyBytes.bytes) }

    private func beginKey() {
        keyBytes.truncate(to: 0)
        keyBytes.append(source.key)
        hasKey = true
        shadowedStripe = -1
        keptKind = nil
    }

    private func consume() throws(ApusError) {
        isConsumed = true
        counts.entriesRead &+= 1
        counts.rawBytesRead &+= UInt64(source.key.count &+ source.payload.count)
        if counts.entriesRead % 1024 == 0 { try checkpoint(counts) }
    }

    private func advanceIfConsumed() throws(ApusError) {
        guard isConsumed else { return }
        isConsumed = false
        try source.next()
    }

    private func decodedEntry() throws(ApusError) -> EntryPayload {
        if let decoded = EntryPayload(source.trailer, source.payload) {
            if case .rangeDeletion = decoded {} else { return decoded }
        }
        throw ApusError(
            .corruption,
            "Key \(printable(source.key)) has an entry that is malformed (trailer \(source.trailer.rawValue))"
        )
    }

    /// True if a range deletion of the same stripe removes the entry at `sequence`.
    private func isCovered(_ stripe: Int, _ sequence: SequenceNumber) -> Bool {
        hasRangeDeletions
            && rules.rangeDeletions.newestSequence(covering: keyBytes.bytes, atMost: rules.stripes.top(of: stripe))
                > sequence
    }

    /// Leaves out what a range deletion of the oldest stripe hides: everything older than it up to its end, which
    /// whole sources can skip without reading. (In a newer stripe, what is older may belong to a snapshot.)
    private func skipCovered() throws(ApusError) {
        let coverage = rules.rangeDeletions.coverage(
            of: keyBytes.bytes,
            atMost: rules.stripes.top(of: SnapshotStripes.oldest)
        )
        guard let end = coverage.upper else { return }
        try consume()
        counts.shadowed &+= 1
        isConsumed = false
        try source.next(hiddenUntil: end, below: coverage.newest)
    }

    // MARK: - One version

    /// Deals with the source's entry; true if an entry has been kept.
    private func step() throws(ApusError) -> Bool {
        let entryTrailer = source.trailer
        let sequence = entryTrailer.sequence
        let stripe = rules.stripes.stripe(of: sequence)
        if stripe == shadowedStripe {
            try consume()
            counts.shadowed &+= 1
            return false
        }
        let entry = try decodedEntry()
        if stripe == rules.stripes.unsettled {
            try consume()
            try keepUnsettled(entry, entryTrailer)
            return true
        }
        if isCovered(stripe, sequence) {
            shadowedStripe = stripe
            if stripe == SnapshotStripes.oldest { try skipCovered() }
            return false
        }
        switch entry {
        case .deletion, .rangeDeletion:
            shadowedStripe = stripe
            try consume()
            return try settleDeletion(sequence, stripe)
        case .value(_, let expiresAt), .separated(_, let expiresAt):
            shadowedStripe = stripe
            try consume()
            return try settleValue(entry, expiresAt: expiresAt, entryTrailer, stripe)
        case .merge:
            return try settleChain(stripe)
        }
    }

    private func keepUnsettled(_ entry: EntryPayload, _ trailer: Trailer) throws(ApusError) {
        if try !moveValue(entry, trailer.sequence) { keep(trailer, source.payload) }
    }

    /// The state of `stripe` is "nothing". Kept as a deletion only if that hides something.
    private func settleDeletion(_ sequence: SequenceNumber, _ stripe: Int) throws(ApusError) -> Bool {
        var hasOlder = false
        if stripe != SnapshotStripes.oldest {
            // What this deletion shadows does not count as older.
            try advanceIfConsumed()
            while isAtCurrentKey, rules.stripes.stripe(of: source.trailer.sequence) == stripe {
                try consume()
                counts.shadowed &+= 1
                try advanceIfConsumed()
            }
            hasOlder = isAtCurrentKey
        }
        if !hasOlder, !rules.elision.mayHold(keyBytes.bytes) {
            counts.elided &+= 1
            return false
        }
        keep(Trailer(sequence, .deletion), UnsafeRawBufferPointer(start: nil, count: 0))
        return true
    }

    /// The state of `stripe` is `entry`, a value.
    private func settleValue(
        _ entry: EntryPayload,
        expiresAt: UInt64,
        _ entryTrailer: Trailer,
        _ stripe: Int
    ) throws(ApusError) -> Bool {
        if expiresAt != 0, expiresAt <= rules.expiryHorizon, try isOutOfReach() {
            counts.expired &+= 1
            return try settleDeletion(entryTrailer.sequence, stripe)
        }
        let sequence = keepsSequence(entryTrailer.sequence, stripe) ? entryTrailer.sequence : .zero
        if try !moveValue(entry, sequence) {
            keep(Trailer(rawValue: sequence.rawValue << 8 | entryTrailer.rawValue & 0xFF), source.payload)
        }
        return true
    }

    /// True if no merge operand can build on the current state of the key: an operand written before an entry expired
    /// makes use of it also after that.
    private func isOutOfReach() throws(ApusError) -> Bool {
        if let keptKind { return keptKind != .mergeOperand }
        guard rules.mayHoldOperands else { return true }
        guard let newerSourcesHold = rules.newerSourcesHold else { return false }
        return try !newerSourcesHold(keyBytes.bytes)
    }

    /// False if the sequence number may become zero: nobody tells it from a smaller one any more. A range deletion older
    /// than the entry must not come to cover it, so an entry that lies above one keeps its number.
    private func keepsSequence(_ sequence: SequenceNumber, _ stripe: Int) -> Bool {
        guard isAtBottom, stripe == SnapshotStripes.oldest else { return true }
        guard hasRangeDeletions else { return false }
        return rules.rangeDeletions.newestSequence(covering: keyBytes.bytes, atMost: sequence) > .zero
    }

    // MARK: - Merge operands

    /// Where a chain of operands ends.
    private enum ChainEnd {
        /// At a state of the same stripe that is in the queue's last place.
        case base(EntryPayload)
        /// At a range deletion of the same stripe.
        case nothing
        /// After the last version in the inputs.
        case exhausted
        /// At a snapshot, or where it cannot be told what comes beneath.
        case unknown
    }

    private func settleChain(_ stripe: Int) throws(ApusError) -> Bool {
        chain.removeAll()
        queue.removeAll(keepingCapacity: true)
        queuePosition = 0
        var end = ChainEnd.exhausted
        collecting: while true {
            let entry = try decodedEntry()
            queue.append(QueuedEntry(trailer: source.trailer, payload: [UInt8](source.payload)))
            try consume()
            guard case .merge(let operand, let writtenAt, let expiresAt) = entry else {
                shadowedStripe = stripe
                end = .base(entry)
                break collecting
            }
            chain.add(operand: operand, writtenAt: writtenAt, expiresAt: expiresAt)
            try advanceIfConsumed()
            guard isAtCurrentKey else { break collecting }
            guard rules.stripes.stripe(of: source.trailer.sequence) == stripe else {
                end = .unknown
                break collecting
            }
            if isCovered(stripe, source.trailer.sequence) {
                shadowedStripe = stripe
                end = .nothing
                break collecting
            }
        }
        if case .exhausted = end, rules.elision.mayHold(keyBytes.bytes) { end = .unknown }
        let sequence = queue[0].trailer.sequence
        guard let folded = try fold(end) else {
            dropElidableBase(stripe)
            return false
        }
        queue.removeAll(keepingCapacity: true)
        counts.folded &+= UInt64(chain.count)
        return try folded.value.withUnsafeBufferPointer { value throws(ApusError) in
            let bytes = UnsafeRawBufferPointer(value)
            let kind = folded.expiresAt == 0 ? EntryKind.value : .expiringValue
            return try settleFolded(bytes, folded.expiresAt, Trailer(sequence, kind), stripe)
        }
    }

    /// A chain that has to stay needs no deletion beneath it where nothing is older.
    private func dropElidableBase(_ stripe: Int) {
        guard stripe == SnapshotStripes.oldest, queue.last?.trailer.kind == .deletion,
            !rules.elision.mayHold(keyBytes.bytes)
        else { return }
        queue.removeLast()
        counts.elided &+= 1
    }

    /// The chain's value; nil if it has to stay as it is.
    private func fold(_ end: ChainEnd) throws(ApusError) -> (value: [UInt8], expiresAt: UInt64)? {
        guard rules.mergeOperator != nil else { return nil }
        switch end {
        case .unknown:
            return nil
        case .nothing, .exhausted, .base(.deletion), .base(.merge), .base(.rangeDeletion):
            return try fold(onto: nil)
        case .base(.value(let bytes, let expiresAt)):
            return try fold(onto: (bytes, expiresAt))
        case .base(.separated(let reference, let expiresAt)):
            guard chain.needsBase(expiresAt: expiresAt) else {
                // Its expiry decides that an operand starts anew; its bytes have no part in the result.
                return try fold(onto: (UnsafeRawBufferPointer(start: nil, count: 0), expiresAt))
            }
            guard let blobs = rules.blobs else { return nil }
            let value = try blobs.value(of: reference)
            return try value.withUnsafeBufferPointer { bytes throws(ApusError) in
                try fold(onto: (UnsafeRawBufferPointer(bytes), expiresAt))
            }
        }
    }

    private func fold(
        onto base: (value: UnsafeRawBufferPointer, expiresAt: UInt64)?
    ) throws(ApusError) -> (value: [UInt8], expiresAt: UInt64)? {
        do {
            return try chain.resolve(base: base, key: keyBytes.bytes, operator: rules.mergeOperator)
        } catch  where error.kind == .mergeFailed {
            return nil
        }
    }

    /// As `settleValue`, for a value that is not in the source.
    private func settleFolded(
        _ value: UnsafeRawBufferPointer,
        _ expiresAt: UInt64,
        _ foldedTrailer: Trailer,
        _ stripe: Int
    ) throws(ApusError) -> Bool {
        shadowedStripe = stripe
        if expiresAt != 0, expiresAt <= rules.expiryHorizon, try isOutOfReach() {
            counts.expired &+= 1
            return try settleDeletion(foldedTrailer.sequence, stripe)
        }
        let sequence = keepsSequence(foldedTrailer.sequence, stripe) ? foldedTrailer.sequence : .zero
        if try moveValue(.value(value, expiresAt: expiresAt), sequence) { return true }
        payloadBytes.truncate(to: 0)
        if expiresAt != 0 { payloadBytes.appendLittleEndian(expiresAt) }
        payloadBytes.append(value)
        keep(Trailer(rawValue: sequence.rawValue << 8 | foldedTrailer.rawValue & 0xFF), payloadBytes.bytes)
        return true
    }

    // MARK: - Keeping

    private func keep(_ keptTrailer: Trailer, _ keptPayload: UnsafeRawBufferPointer) {
        isFirstOfKey = keptKind == nil
        keptKind = keptTrailer.kind
        key = keyBytes.bytes
        trailer = keptTrailer
        payload = keptPayload
        isValid = true
        counts.entriesWritten &+= 1
    }

    private func keep(_ keptTrailer: Trailer, copying bytes: [UInt8]) throws(ApusError) {
        payloadBytes.truncate(to: 0)
        bytes.withUnsafeBytes { payloadBytes.append($0) }
        let stored = payloadBytes.bytes
        if let entry = EntryPayload(keptTrailer, stored), try moveValue(entry, keptTrailer.sequence) { return }
        keep(keptTrailer, stored)
    }

    /// Keeps the entry with its value moved into or out of a blob file; false if the value stays where it is.
    private func moveValue(_ entry: EntryPayload, _ sequence: SequenceNumber) throws(ApusError) -> Bool {
        guard let values, let moved = try values.move(entry, key: keyBytes.bytes) else { return false }
        if moved.isSeparated { counts.separated &+= 1 }
        payloadBytes.truncate(to: 0)
        moved.payload.withUnsafeBytes { payloadBytes.append($0) }
        keep(Trailer(sequence, moved.kind), payloadBytes.bytes)
        return true
    }
}
