// What a user sees of a keyspace at one sequence number and one time: one entry per live key.
//
// Below it lies a cursor over internal entries, several per key: versions newer than the snapshot, the version that
// counts, older ones. Forward, the first version that is not too new decides, and the rest of the key is skipped.
// Backward, the versions come oldest first, so each visible one replaces what was known until the key changes; what
// must outlive the move is copied into buffers that are reused. Where a key has many versions the cursor seeks.
//
// Where the source stands relative to the current key:
//
//   onEntry    on a version of it                 (forward; the key and a plain value are views into the source)
//   after      on the next key, or at the end     (forward, after a merge chain that ran to the end of the key)
//   before     on the previous key, or at the end (backward)
//   elsewhere  anywhere                           (backward, after a key with many versions)

import ApusIO

/// A position among the visible entries between two bounds. One thread at a time.
///
/// Views of key and value stay valid until the next move. After an error the cursor is not valid until it seeks.
/// A forward step allocates nothing unless the value is merged or separated, and only when the value is asked for.
final class VisibleCursor {
    private enum Place { case onEntry, after, before, elsewhere }
    /// After so many steps over hidden entries, a seek is cheaper than more steps.
    private static let patience = 8

    @exclusivity(unchecked) private(set) var isValid = false
    /// The current user key.
    @exclusivity(unchecked) private(set) var key = UnsafeRawBufferPointer(start: nil, count: 0)
    /// When the current entry expires; 0: never.
    @exclusivity(unchecked) private(set) var expiresAt: UInt64 = 0

    private let source: EntryCursor
    private let snapshot: SequenceNumber
    private let now: UInt64
    private let hasLower: Bool
    private let lower: OwnedBytes
    private let hasUpper: Bool
    private let upper: OwnedBytes
    private let mergeOperator: (any MergeOperator)?
    private let blobs: (any BlobSource)?
    /// Kept because the files of separated values live as long as the view that refers to them.
    private let view: ReadView?

    @exclusivity(unchecked) private var place = Place.elsewhere
    @exclusivity(unchecked) private var current = VisibleValue()
    @exclusivity(unchecked) private var cover: RangeDeletionCover
    /// How many entries in a row range deletions have hidden.
    @exclusivity(unchecked) private var covered = 0
    /// The current key where the source does not stand on it; while skipping, the key to be skipped.
    @exclusivity(unchecked) private var savedKey = OwnedBytes()

    /// - Parameters:
    ///   - rangeDeletions: those of all sources; their order does not matter.
    ///   - now: the time, in milliseconds since 1970, against which expiry is judged.
    ///   - upper: exclusive.
    ///   - view: what the sources were taken from.
    init(
        source: EntryCursor,
        rangeDeletions: [RangeDeletions],
        snapshot: SequenceNumber,
        now: UInt64,
        lower: [UInt8]?,
        upper: [UInt8]?,
        mergeOperator: (any MergeOperator)?,
        blobs: (any BlobSource)?,
        view: ReadView? = nil
    ) {
        self.view = view
        self.source = source
        self.snapshot = snapshot
        self.now = now
        hasLower = lower != nil
        self.lower = OwnedBytes(lower ?? [])
        hasUpper = upper != nil
        self.upper = OwnedBytes(upper ?? [])
        self.mergeOperator = mergeOperator
        self.blobs = blobs
        cover = RangeDeletionCover(rangeDeletions, snapshot: snapshot)
    }

    // MARK: - Moving

    func seekToFirst() throws(ApusError) {
        leave()
        if hasLower { try source.seek(lower.bytes, .seek(snapshot)) } else { try source.seekToFirst() }
        try findForward(skippingSavedKey: false)
    }

    func seekToLast() throws(ApusError) {
        leave()
        if hasUpper { try source.seekBefore(upper.bytes, .first) } else { try source.seekToLast() }
        try findBackward()
    }

    /// The first entry whose key is at or after `target`.
    func seek(atOrAfter target: UnsafeRawBufferPointer) throws(ApusError) {
        if hasLower && compareBytes(target, lower.bytes) < 0 { return try seekToFirst() }
        leave(keeping: target)
        try source.seek(savedKey.bytes, .seek(snapshot))
        try findForward(skippingSavedKey: false)
    }

    /// The last entry whose key is before `target`.
    func seek(before target: UnsafeRawBufferPointer) throws(ApusError) {
        if hasUpper && compareBytes(target, upper.bytes) >= 0 { return try seekToLast() }
        leave(keeping: target)
        try source.seekBefore(savedKey.bytes, .first)
        try findBackward()
    }

    /// The last entry whose key is at or before `target`.
    func seek(atOrBefore target: UnsafeRawBufferPointer) throws(ApusError) {
        if hasUpper && compareBytes(target, upper.bytes) >= 0 { return try seekToLast() }
        leave(keeping: target)
        try source.seekBefore(savedKey.bytes, .last)
        try findBackward()
    }

    /// - Precondition: `isValid`.
    func next() throws(ApusError) {
        precondition(isValid)
        leave(keeping: key)
        switch place {
        case .onEntry:
            try source.next()
            try findForward(skippingSavedKey: true)
        case .after:
            try findForward(skippingSavedKey: true)
        case .before, .elsewhere:
            try source.seek(savedKey.bytes, .last)
            try findForward(skippingSavedKey: false)
        }
    }

    /// - Precondition: `isValid`.
    func previous() throws(ApusError) {
        precondition(isValid)
        if place == .before {
            leave()
        } else {
            leave(keeping: key)
            try source.seekBefore(savedKey.bytes, .first)
        }
        try findBackward()
    }

    @inline(__always)
    private func leave() {
        isValid = false
        covered = 0
    }

    /// Also keeps a key, which may be a view into the source or into `savedKey`.
    @inline(__always)
    private func leave(keeping target: UnsafeRawBufferPointer) {
        leave()
        savedKey.assign(target)
    }

    // MARK: - The value

    /// The current value; fetched or merged when first asked for. Valid until the next move.
    /// - Precondition: `isValid`.
    func value() throws(ApusError) -> UnsafeRawBufferPointer {
        precondition(isValid)
        return try current.bytes(key: key, mergeOperator, blobs)
    }

    @inline(__always)
    private func isExpired(_ expiry: UInt64) -> Bool { expiry != 0 && expiry <= now }

    private func decode() throws(ApusError) -> EntryPayload {
        guard let payload = EntryPayload(source.trailer, source.payload) else {
            throw ApusError(.corruption, "an entry of key \(printable(source.key)) has a malformed payload")
        }
        return payload
    }

    // MARK: - Forward

    /// From the source's position on, finds the first visible key and stands on it.
    private func findForward(skippingSavedKey: Bool) throws(ApusError) {
        var isSkipping = skippingSavedKey
        var versions = 0
        while source.isValid {
            let found = source.key
            if hasUpper && compareBytes(found, upper.bytes) >= 0 { return }
            if isSkipping {
                if equalBytes(found, savedKey.bytes) {
                    versions += 1
                    if versions > VisibleCursor.patience {
                        try source.seek(savedKey.bytes, .last)
                    } else {
                        try source.next()
                    }
                    continue
                }
                isSkipping = false
                versions = 0
            }
            if source.trailer.sequence > snapshot {
                if versions > 0 && equalBytes(found, savedKey.bytes) {
                    versions += 1
                } else {
                    savedKey.assign(found)
                    versions = 1
                }
                if versions > VisibleCursor.patience {
                    try source.seek(savedKey.bytes, .seek(snapshot))
                } else {
                    try source.next()
                }
                continue
            }
            versions = 0
            let deletion = cover.newest(covering: found)
            if source.trailer.sequence < deletion {
                covered += 1
                if covered > VisibleCursor.patience, let end = cover.coverage.upper {
                    try source.next(hiddenUntil: end, below: deletion)
                } else {
                    try source.next()
                }
                continue
            }
            covered = 0
            if try resolveFromNewest() {
                isValid = true
                return
            }
            isSkipping = true
            if place == .onEntry {
                savedKey.assign(source.key)
                try source.next()
            }
        }
    }

    /// The source stands on the newest version of a key that the snapshot includes. Works out what the key is;
    /// false if it is not visible.
    @inline(__always)
    private func resolveFromNewest() throws(ApusError) -> Bool {
        current.clear()
        place = .onEntry
        switch try decode() {
        case .value(let bytes, let expiry):
            current.endChain(bytes, expiresAt: expiry)
            expiresAt = expiry
        case .separated(let reference, let expiry):
            current.endChain(reference, expiresAt: expiry)
            expiresAt = expiry
        case .deletion:
            return false
        case .merge:
            try collectChain()
            return !isExpired(expiresAt)
        case .rangeDeletion:
            throw misplacedRangeDeletion()
        }
        key = source.key
        return !isExpired(expiresAt)
    }

    /// The source stands on a merge operand: gathers it and the older ones, down to what they build on.
    private func collectChain() throws(ApusError) {
        savedKey.assign(source.key)
        key = savedKey.bytes
        let deletion = cover.newest(covering: key)
        collecting: while source.trailer.sequence >= deletion {
            switch try decode() {
            case .merge(let operand, let writtenAt, let expiry):
                current.addOlder(operand: operand, writtenAt: writtenAt, expiresAt: expiry)
            case .value(let bytes, let expiry):
                current.endChain(bytes, expiresAt: expiry)
                break collecting
            case .separated(let reference, let expiry):
                current.endChain(reference, expiresAt: expiry)
                break collecting
            case .deletion:
                break collecting
            case .rangeDeletion:
                throw misplacedRangeDeletion()
            }
            try source.next()
            if !source.isValid || !equalBytes(source.key, key) {
                place = .after
                break
            }
        }
        expiresAt = current.expiresAt ?? 0
    }

    private func misplacedRangeDeletion() -> ApusError {
        ApusError(.corruption, "a range deletion stands among the entries, at key \(printable(source.key))")
    }

    // MARK: - Backward

    /// From the source's position back, finds the last visible key; the source ends up before it.
    private func findBackward() throws(ApusError) {
        while source.isValid {
            if hasLower && compareBytes(source.key, lower.bytes) < 0 { return }
            savedKey.assign(source.key)
            key = savedKey.bytes
            if try resolveFromOldest() {
                isValid = true
                return
            }
            if place == .elsewhere { try source.seekBefore(savedKey.bytes, .first) }
        }
    }

    /// The source stands on the oldest version of `savedKey`. Works out what the key is, with the source moving to
    /// the key before; false if it is not visible.
    private func resolveFromOldest() throws(ApusError) -> Bool {
        current.clear()
        place = .before
        let deletion = cover.newest(covering: savedKey.bytes)
        var versions = 0
        repeat {
            versions += 1
            if source.trailer.sequence > snapshot {
                if versions > VisibleCursor.patience {
                    try source.seekBefore(savedKey.bytes, .first)
                } else {
                    try source.previous()
                }
                continue
            }
            if source.trailer.sequence < deletion {
                covered += 1
                if covered > VisibleCursor.patience, let start = cover.coverage.lower {
                    try source.previous(hiddenFrom: start, below: deletion)
                } else {
                    try source.previous()
                }
                continue
            }
            covered = 0
            if versions > VisibleCursor.patience { return try resolveFromTheOtherEnd() }
            switch try decode() {
            case .value(let bytes, let expiry):
                current.replace(bytes, expiresAt: expiry)
            case .separated(let reference, let expiry):
                current.replace(reference, expiresAt: expiry)
            case .deletion:
                current.clear()
            case .merge(let operand, let writtenAt, let expiry):
                current.addNewer(operand: operand, writtenAt: writtenAt, expiresAt: expiry)
            case .rangeDeletion:
                throw misplacedRangeDeletion()
            }
            try source.previous()
        } while source.isValid && equalBytes(source.key, savedKey.bytes)

        guard let expiry = current.expiresAt else { return false }
        expiresAt = expiry
        return !isExpired(expiry)
    }

    /// The key has many versions, the newest visible one not covered: seeks to that.
    private func resolveFromTheOtherEnd() throws(ApusError) -> Bool {
        try source.seek(savedKey.bytes, .seek(snapshot))
        guard source.isValid && equalBytes(source.key, savedKey.bytes) else {
            throw ApusError(.corruption, "the versions of key \(printable(savedKey.bytes)) are out of order")
        }
        let isVisible = try resolveFromNewest()
        key = savedKey.bytes
        place = .elsewhere
        return isVisible
    }
}
