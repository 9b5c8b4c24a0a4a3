// Reading: the latest value of a key, and the moments that readers may look at.

import ApusIO
import Synchronization

extension Engine {
    /// Calls `body` with the value of `key`, if there is one, where it lies.
    ///
    /// The view is loaded before the sequence number: the other way round, a compaction that ends in between could
    /// have dropped the version that the older number asks for.
    @inline(__always)
    func withLatestValue(
        of key: UnsafeRawBufferPointer, in tree: Tree,
        _ body: (UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError) {
        counters.recordRead()
        try tree.withView { (view) throws(ApusError) in
            var lookup = PointLookup(tree: tree, key: key, snapshot: visibleSequence)
            let resolution = try lookup.resolve(in: view)
            try present(resolution, body)
        }
    }

    func contains(_ key: UnsafeRawBufferPointer, in tree: Tree) throws(ApusError) -> Bool {
        counters.recordRead()
        return try tree.withView { (view) throws(ApusError) in
            var lookup = PointLookup(tree: tree, key: key, snapshot: visibleSequence)
            if case .absent = try lookup.resolve(in: view) { return false }
            return true
        }
    }

    /// Shows what a lookup found; a separated value is read from its blob file.
    @inline(__always)
    func present(
        _ resolution: Resolution, _ body: (UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError) {
        switch resolution {
        case .absent: return
        case .value(let value, _): try body(value)
        case .merged(let value, _): try value.withBytes(body)
        case .separated(let reference, _): try blobs.withValue(of: reference, body)
        }
    }

    /// Registers a snapshot of the newest visible state. With the structure lock held, so that a compaction that
    /// starts now either sees the registration or an older visible sequence number.
    func pinSnapshot() -> SnapshotList.Pin {
        structure.withLock { $0.snapshots.add(visibleSequence, time: clock.now()) }
    }

    /// What a flush or compaction that starts now must preserve.
    func retention() -> Retention {
        structure.withLock { structure in
            let visible = visibleSequence
            let now = clock.now()
            var sequences = structure.snapshots.sequences()
            if sequences.last != visible { sequences.append(visible) }
            return Retention(
                snapshots: sequences, expiryHorizon: structure.snapshots.oldestTime(or: now), now: now)
        }
    }
}

/// The moments that readers may still look at.
struct Retention: Sendable {
    /// Ascending; the last is the newest visible sequence number.
    var snapshots: [SequenceNumber]
    /// Entries expired at this time are expired for everybody, ms since 1970.
    var expiryHorizon: UInt64
    var now: UInt64
}
