// The engine behind a `Database`: what its parts share, and the lock order between them.
//
// State and who may touch it:
// - `committer`: the commit leader only (one at a time, see `CommitPipeline`);
// - `structure`: which keyspaces, memtables and versions there are; its lock is held briefly, never during I/O;
// - `manifest`: its lock is held while an edit is appended and synced, and is taken before `structure`'s;
// - `visible`: the newest sequence number that readers see; stored by the leader, loaded by everyone.
//
// Background jobs never wait for the commit pipeline (they enqueue), so a leader may wait for background jobs.

import ApusIO
import Logging
import Synchronization

final class Engine: Sendable {
    /// Tells databases of one process apart.
    let id: UInt64
    let directory: String
    let options: Options
    let tuning: Tuning
    let environment: Environment
    let clock: EngineClock
    let health = Health()
    let counters = Counters()

    let epochs: EpochDomain
    let cache: BlockCache
    let filePool: FilePool
    let arenas: ArenaPool
    let blobs: BlobStore
    let obsoleteFiles: ObsoleteFiles

    let structure: Monitor<Structure>
    let manifest: Monitor<ManifestWriter?>
    let committer: Committer
    let pipeline: CommitPipeline
    let visible: Atomic<UInt64>
    let nextFileNumber: FileNumberSource
    /// True from the start of `close`: background jobs stop at their next check.
    let isClosing = Atomic(false)
    private let lock: Mutex<(any FileLock)?>

    init(
        _ parts: EngineParts, structure: Structure, manifest: ManifestWriter?, committer: Committer,
        lastSequence: SequenceNumber
    ) {
        id = parts.id
        directory = parts.directory
        options = parts.options
        tuning = parts.tuning
        environment = parts.environment
        clock = parts.clock
        epochs = parts.epochs
        cache = parts.cache
        filePool = parts.filePool
        arenas = parts.arenas
        blobs = parts.blobs
        obsoleteFiles = parts.obsoleteFiles
        nextFileNumber = parts.nextFileNumber
        lock = Mutex(parts.lock)
        visible = Atomic(lastSequence.rawValue)
        self.structure = Monitor(structure)
        self.manifest = Monitor(manifest)
        self.committer = committer
        let reference = WeakEngine()
        pipeline = CommitPipeline(scheduler: parts.environment.scheduler) { group in
            guard let engine = reference.engine else {
                return group.map { _ in .failure(ApusError(.closed, "the database is closed")) }
            }
            return engine.process(group)
        }
        reference.engine = self
    }

    var logger: Logger { options.logger }

    func path(_ name: FileName) -> String { name.path(in: directory) }

    func allocateFileNumber() -> FileNumber {
        nextFileNumber.take()
    }

    var visibleSequence: SequenceNumber { SequenceNumber(visible.load(ordering: .acquiring)) }

    /// Throws unless the database is open.
    @inline(__always)
    func checkOpen() throws(ApusError) {
        if isClosing.load(ordering: .relaxed) { throw ApusError(.closed, "the database is closed") }
    }

    func checkWritable() throws(ApusError) {
        try checkOpen()
        if options.isReadOnly { throw ApusError(.readOnly, "the database was opened read-only") }
        try health.check()
    }

    func emit(_ event: Event) {
        options.onEvent?(event)
    }

    func releaseLock() {
        lock.withLock {
            $0?.release()
            $0 = nil
        }
    }
}

/// The pipeline's way back to its engine without a reference cycle.
///
/// Invariant: set once, in `Engine.init`, before the pipeline is used.
private final class WeakEngine: @unchecked Sendable {
    weak var engine: Engine?
}

/// What is made before the engine itself while a database is opened.
struct EngineParts {
    var id: UInt64
    var directory: String
    var options: Options
    var tuning: Tuning
    var environment: Environment
    var clock: EngineClock
    var epochs: EpochDomain
    var cache: BlockCache
    var filePool: FilePool
    var arenas: ArenaPool
    var blobs: BlobStore
    var obsoleteFiles: ObsoleteFiles
    var nextFileNumber: FileNumberSource
    var lock: (any FileLock)?
}

/// The one counter behind all file names.
final class FileNumberSource: Sendable {
    private let counter: Atomic<UInt64>

    /// - Parameter next: larger than every number used so far.
    init(next: FileNumber) { counter = Atomic(next) }

    func take() -> FileNumber { counter.wrappingAdd(1, ordering: .relaxed).oldValue }
    var next: FileNumber { counter.load(ordering: .relaxed) }
}
