// One keyspace inside the engine: an LSM tree with its settings and the view its readers use.

import ApusIO
import Synchronization

/// A keyspace's tree. Structure (which memtables, which version) changes only with the engine's structure lock held;
/// readers see it through `view`.
///
/// Invariant of the unsafe part: `viewPointer` holds one retained reference; a replaced view is released only after
/// every reader that could have loaded it has unpinned (see `EpochDomain`).
final class Tree: @unchecked Sendable {
    let id: UInt32
    let name: String
    let clock: EngineClock
    let blobs: any BlobSource
    private let epochs: EpochDomain
    private let viewPointer: Atomic<UnsafeRawPointer>
    private let configuration: Monitor<Configuration>
    /// Whether there is a merge operator: most keyspaces have none, and every cursor asks.
    private let isMerging: Atomic<Bool>
    private let timeToLive: Atomic<UInt64>
    /// Values of at least so many bytes may go to a blob file when they are committed; 0: none do.
    let committedValueThreshold: Atomic<Int>
    private let dropped = Atomic(false)
    let isEphemeral: Bool
    let counters = TreeCounters()
    /// Tells databases of one process apart.
    let engineID: UInt64
    /// How far compaction is behind, see `WriteThrottle`.
    let pressure = Atomic<UInt32>(0)
    /// Sorted runs that cursors' seeks have looked into besides the first, roughly, since they last led to a compaction.
    let wastedSeeks = Atomic<Int>(0)
    /// The memtable that the commit leader inserts into. Touched only by the leader, which alone replaces it.
    @exclusivity(unchecked) nonisolated(unsafe) var active: Memtable

    private struct Configuration {
        var settings: KeyspaceSettings
        var mergeOperator: (any MergeOperator)?
    }

    init(
        id: UInt32, name: String, settings: KeyspaceSettings, mergeOperator: (any MergeOperator)?,
        engineID: UInt64, clock: EngineClock, blobs: any BlobSource, epochs: EpochDomain, active: Memtable,
        view: ReadView
    ) {
        self.engineID = engineID
        self.id = id
        self.name = name
        self.clock = clock
        self.blobs = blobs
        self.epochs = epochs
        self.active = active
        isEphemeral = settings.isEphemeral
        viewPointer = Atomic(UnsafeRawPointer(Unmanaged.passRetained(view).toOpaque()))
        timeToLive = Atomic(settings.timeToLive)
        committedValueThreshold = Atomic(settings.committedValueThreshold)
        configuration = Monitor(Configuration(settings: settings, mergeOperator: mergeOperator))
        isMerging = Atomic(mergeOperator != nil)
    }

    deinit {
        Unmanaged<ReadView>.fromOpaque(viewPointer.load(ordering: .acquiring)).release()
    }

    // MARK: Settings

    var settings: KeyspaceSettings { configuration.withLock { $0.settings } }
    var mergeOperator: (any MergeOperator)? {
        isMerging.load(ordering: .acquiring) ? configuration.withLock { $0.mergeOperator } : nil
    }

    func configure(_ settings: KeyspaceSettings, mergeOperator: (any MergeOperator)?) {
        configuration.withLock {
            $0.settings = settings
            if let mergeOperator { $0.mergeOperator = mergeOperator }
        }
        if mergeOperator != nil { isMerging.store(true, ordering: .releasing) }
        timeToLive.store(settings.timeToLive, ordering: .relaxed)
        committedValueThreshold.store(settings.committedValueThreshold, ordering: .relaxed)
    }

    /// When an entry written now expires, in milliseconds since 1970; 0 for never.
    func expiryTime(_ expiry: Expiry) -> UInt64 {
        switch expiry {
        case .automatic:
            let milliseconds = timeToLive.load(ordering: .relaxed)
            return milliseconds == 0 ? 0 : clock.now().addingSaturated(milliseconds)
        case .never:
            return 0
        case .after(let duration):
            return clock.now().addingSaturated(duration.wholeMilliseconds)
        case .at(let milliseconds):
            return Swift.max(1, milliseconds)
        }
    }

    var isDropped: Bool { dropped.load(ordering: .acquiring) }
    func markDropped() { dropped.store(true, ordering: .releasing) }

    /// Calls `body` with the active memtable, without counting a reference. Called by the leader, which alone replaces it
    /// and does not while `body` runs.
    @inline(__always)
    func withActive<Result>(_ body: (Memtable) -> Result) -> Result {
        Unmanaged.passUnretained(active)._withUnsafeGuaranteedRef(body)
    }

    // MARK: View

    /// Calls `body` with the current view, pinned; without reference counting.
    @inline(__always)
    func withView<Result>(_ body: (ReadView) throws(ApusError) -> Result) throws(ApusError) -> Result {
        let pin = epochs.pin()
        defer { epochs.unpin(pin) }
        return try Unmanaged<ReadView>.fromOpaque(viewPointer.load(ordering: .acquiring)).withBorrowed(body)
    }

    /// The current view, retained, for cursors.
    func retainedView() -> ReadView {
        let pin = epochs.pin()
        defer { epochs.unpin(pin) }
        return Unmanaged<ReadView>.fromOpaque(viewPointer.load(ordering: .acquiring)).takeUnretainedValue()
    }

    /// Publishes a new view. With the structure lock held.
    func replaceView(memtables: [Memtable], version: Version, blobFiles: [ObsoleteFiles.Lease]) {
        let old = Unmanaged<ReadView>.fromOpaque(viewPointer.load(ordering: .acquiring))
        let view = ReadView(
            memtables: memtables, version: version, blobFiles: blobFiles, previous: old.takeUnretainedValue())
        viewPointer.store(UnsafeRawPointer(Unmanaged.passRetained(view).toOpaque()), ordering: .releasing)
        epochs.retire(byteCount: 0) { Unmanaged<ReadView>.fromOpaque(old.toOpaque()).release() }
    }
}

extension Duration {
    /// Milliseconds, rounded up, at least 0.
    var wholeMilliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let fraction = UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
        return UInt64(seconds).multipliedSaturated(1_000).addingSaturated(fraction)
    }

    var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(seconds).multipliedSaturated(1_000_000_000).addingSaturated(UInt64(attoseconds / 1_000_000_000))
    }
}

extension UInt64 {
    func addingSaturated(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    func multipliedSaturated(_ other: UInt64) -> UInt64 {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        return overflow ? .max : product
    }
}

extension Unmanaged {
    /// Calls `body` with the object, without touching its reference count. The caller keeps it alive.
    @inline(__always)
    func withBorrowed<Value>(_ body: (Instance) throws(ApusError) -> Value) throws(ApusError) -> Value {
        // The standard library's form does not pass typed errors on.
        try _withUnsafeGuaranteedRef { instance -> Result<Value, ApusError> in
            do throws(ApusError) {
                return .success(try body(instance))
            } catch {
                return .failure(error)
            }
        }.get()
    }
}
