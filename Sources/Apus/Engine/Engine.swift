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
    /// See `scheduleUpkeep`.
    let isUpkeepScheduled = Atomic(false)
    /// See `tidyUp`.
    let fileNumberAtUpkeep = Atomic<UInt64>(0)
    private let lock: Monitor<(any FileLock)?>

    let ownsScheduler: Bool
    let link: EngineLink
    let tableContext: TableContext

    /// An engine without keyspaces, log position or manifest; `OpenDatabase` fills them in.
    init(_ parts: EngineParts, committer: Committer, link: EngineLink) {
        let environment = parts.environment
        let directory = parts.directory
        id = environment.random.next()
        self.directory = directory
        self.environment = environment
        options = parts.options
        tuning = parts.tuning
        ownsScheduler = parts.ownsScheduler
        clock = EngineClock(environment.clock)
        epochs = EpochDomain()
        cache = BlockCache(capacity: tuning.cacheByteCount(memtables: 0), epochs: epochs)
        filePool = FilePool(fileSystem: environment.fileSystem)
        arenas = ArenaPool()
        let values = ValueCache(cache, epochs: epochs, capacity: tuning.cacheByteCount(memtables: 0))
        let blobs = BlobStore(pool: filePool, cache: values) { FileName.blob($0).path(in: directory) }
        self.blobs = blobs
        let obsoleteFiles = ObsoleteFiles(
            fileSystem: environment.fileSystem, scheduler: environment.scheduler, directory: directory, blobs: blobs)
        self.obsoleteFiles = obsoleteFiles
        tableContext = TableContext(cache: cache, epochs: epochs, filePool: filePool) { number in
            obsoleteFiles.remove(.table(number))
        }
        nextFileNumber = parts.nextFileNumber
        lock = Monitor(parts.lock)
        visible = Atomic(0)
        structure = Monitor(Structure())
        manifest = Monitor(nil)
        self.committer = committer
        pipeline = CommitPipeline(scheduler: environment.scheduler) { group in
            guard let engine = link.engine else {
                return group.map { _ in .failure(ApusError(.closed, "the database is closed")) }
            }
            return engine.process(group)
        }
        self.link = link
        link.connect(self)
    }

    deinit {
        // What was retired since the last collection refers to tables, and they to the domain that holds it: without
        // this an engine whose opening failed would never be freed.
        epochs.collect()
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

/// The way back to the engine for parts that it owns and for jobs that may come too late. A cycle while the database is
/// open, cut when it is closed or could not be opened. Not a weak reference: an object that has one pays for it at every
/// reference counted from then on, and readers count some.
final class EngineLink: Sendable {
    private let target = Monitor<Engine?>(nil)

    /// nil once the database is closed.
    var engine: Engine? { target.withLock { $0 } }

    fileprivate func connect(_ engine: Engine) {
        target.withLock { $0 = engine }
    }

    func cut() {
        // Whatever goes with the engine goes after the lock.
        let engine = target.withLock { engine in
            defer { engine = nil }
            return engine
        }
        withExtendedLifetime(engine) {}
    }
}

/// What is decided before there is an engine.
struct EngineParts {
    var directory: String
    var options: Options
    var tuning: Tuning
    var environment: Environment
    /// True if the scheduler was made for this database and ends with it.
    var ownsScheduler: Bool
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
