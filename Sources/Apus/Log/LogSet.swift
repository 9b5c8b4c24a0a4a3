// The live segments of the write-ahead log: which one is written, when the next comes into use, which may go.
//
// Who may call what:
// - the commit leader (one thread at a time): start, makeRoom, append, write, synchronize, rotate, close, abandon;
// - any thread: prepareNext (a background job; the leader waits for it if it needs the result), needsPreparation,
//   segments, release, retireReleased.
// Locks: `next` is held while a segment is made, `retirement` while some go, the manifest's entries included; `shared`
// never across I/O, and is the innermost. So nobody may call rotate, makeRoom, prepareNext or retireReleased while
// holding a lock that `register` or `unregister` takes.
//
// Failures: preparing a segment touches nothing that an acknowledgment depends on, so running out of space there is
// no more than a refusal, and can be retried. A failed write or sync of a segment in use, its header included, is
// final: every later call throws `failed`.

import ApusIO
import Synchronization

/// `@unchecked Sendable`: `writer`, `progress`, `failure` and `lastSequence` belong to the commit leader alone, `isClosed` is touched
/// with `next` held, everything else is immutable or behind a lock.
final class LogSet: @unchecked Sendable {
    struct Configuration: Sendable {
        var directory: String
        var fileSystem: any FileSystem
        var databaseID: DatabaseID
        /// Reserved for an ordinary segment; a larger group of commits gets a larger one.
        var segmentByteCount: UInt64
        /// How many retired files are kept for reuse.
        var spareLimit = 2
    }

    private struct Shared {
        var sealed: [LogSegment] = []
        /// Hold nothing that is not in a table, but the manifest still lists them. Oldest first.
        var released: [LogSegment] = []
        var current: Progress?
        var spares: [FileNumber] = []
    }

    /// The figures of the segment in use, for other threads: each up to date by itself, without a lock in every commit.
    private final class Progress: Sendable {
        private let number: FileNumber
        private let capacity: UInt64
        private let byteCount: Atomic<UInt64>
        /// Above every sequence number while there is none.
        private let firstSequence = Atomic(UInt64.max)
        private let lastSequence: Atomic<UInt64>

        init(_ segment: LogSegment) {
            number = segment.number
            capacity = segment.capacity
            byteCount = Atomic(segment.byteCount)
            lastSequence = Atomic(segment.lastSequence.rawValue)
        }

        @inline(__always)
        func note(_ writer: LogWriter) {
            byteCount.store(writer.writtenByteCount, ordering: .relaxed)
            lastSequence.store(writer.lastSequence.rawValue, ordering: .relaxed)
            if let first = writer.firstSequence { firstSequence.store(first.rawValue, ordering: .relaxed) }
        }

        var segment: LogSegment {
            let first = firstSequence.load(ordering: .relaxed)
            return LogSegment(
                number: number, capacity: capacity, byteCount: byteCount.load(ordering: .relaxed),
                firstSequence: first == .max ? nil : SequenceNumber(first),
                lastSequence: SequenceNumber(lastSequence.load(ordering: .relaxed)))
        }
    }

    private let configuration: Configuration
    private let files: LogSegmentFiles
    private let allocateNumber: @Sendable () -> FileNumber
    private let register: @Sendable (FileNumber, UInt64) throws(ApusError) -> Void
    private let unregister: @Sendable ([FileNumber]) throws(ApusError) -> Void
    private let synchronizeValues: @Sendable () throws(ApusError) -> Void
    private let next = Monitor<PreparedSegment?>(nil)
    /// Whether `next` holds a segment: asked after every commit. Set with `next` held.
    private let isNextReady = Atomic(false)
    /// No segment is made any more. Guarded by `next`.
    private var isClosed = false
    private let retirement = Monitor(())
    private let shared = Monitor(Shared())
    private var writer: LogWriter?
    private var progress: Progress?
    private var failure: ApusError?
    private var lastSequence = SequenceNumber.zero

    private static let granularity: UInt64 = 4096
    /// On a device that is nearly full.
    private static let leastByteCount: UInt64 = 64 << 10
    /// A segment beyond this could not express its lengths; a batch is far below it.
    private static let maximumByteCount = FrameHeader.maximumFileByteCount & ~(granularity - 1)

    /// - Parameters:
    ///   - allocateNumber: takes the next file number; never one again, never a smaller one.
    ///   - register: makes the segment's number and capacity part of the manifest (`logCreated`), durably.
    ///   - unregister: takes segments out of the manifest (`logDeleted`), durably.
    ///   - synchronizeValues: makes durable what batches refer to; called by the leader, before every sync of the log.
    init(
        _ configuration: Configuration,
        allocateNumber: @escaping @Sendable () -> FileNumber,
        register: @escaping @Sendable (FileNumber, UInt64) throws(ApusError) -> Void,
        unregister: @escaping @Sendable ([FileNumber]) throws(ApusError) -> Void,
        synchronizeValues: @escaping @Sendable () throws(ApusError) -> Void = {}
    ) {
        self.configuration = configuration
        self.allocateNumber = allocateNumber
        self.register = register
        self.unregister = unregister
        self.synchronizeValues = synchronizeValues
        files = LogSegmentFiles(directory: configuration.directory, fileSystem: configuration.fileSystem)
    }

    // MARK: - Opening

    /// Prepares the first segment without telling the manifest: opening writes a whole new manifest, which has to
    /// list the returned segment (`ManifestState.logs`). `start` follows once that manifest is current.
    func prepareFirst() throws(ApusError) -> (number: FileNumber, capacity: UInt64) {
        try next.withLock { (next) throws(ApusError) in
            precondition(next == nil, "the first segment is prepared once")
            let segment = try prepare(needing: 0, reusing: nil)
            setNext(&next, segment)
            return (segment.number, segment.capacity)
        }
    }

    /// Brings the first segment into use. Every batch appended has a sequence number above `lastSequence`.
    func start(after lastSequence: SequenceNumber) throws(ApusError) {
        precondition(writer == nil)
        self.lastSequence = lastSequence
        try rotate()
    }

    // MARK: - Appending (commit leader)

    /// Makes sure that the frames of a whole group of commits fit the current segment, so that one write and one sync
    /// cover them. Rotates if they do not. Throws `outOfSpace` without harm if a new segment is needed and cannot be
    /// had.
    func makeRoom(for payloadByteCounts: some Sequence<Int>) throws(ApusError) {
        let needed = payloadByteCounts.reduce(0) { $0 + FrameHeader.frameByteCount(payloadByteCount: $1) }
        if let writer, writer.hasRoom(forFrameBytes: needed) { return }
        try rotate(forFrameBytes: needed)
    }

    /// Makes room, appends and writes, all at once, for a batch of one entry whose payload `fill` writes.
    @inline(__always)
    func appendAlone(
        payloadByteCount: Int,
        sequence: SequenceNumber,
        kind: FrameKind = .batch,
        beforeSync isBeforeSync: Bool,
        _ fill: (UnsafeMutableRawPointer) -> Void
    ) throws(ApusError) {
        // The writer is looked up once: every look counts references.
        var writer = try current()
        let needed = FrameHeader.frameByteCount(payloadByteCount: payloadByteCount)
        if !writer.hasRoom(forFrameBytes: needed) {
            try rotate(forFrameBytes: needed)
            writer = try current()
        }
        try writer.append(
            payloadByteCount: payloadByteCount, sequence: sequence, through: sequence, kind: kind, fill)
        try writer.write(beforeSync: isBeforeSync)
        progress?.note(writer)
    }

    /// - Precondition: `makeRoom` was called for it.
    func append(
        _ payload: UnsafeRawBufferPointer,
        sequence: SequenceNumber,
        kind: FrameKind = .batch
    ) throws(ApusError) {
        try current().append(payload, sequence: sequence, kind: kind)
    }

    /// Hands what was appended to the operating system. The current segment's figures count it from here on.
    func write(beforeSync isBeforeSync: Bool) throws(ApusError) {
        let writer = try current()
        try writer.write(beforeSync: isBeforeSync)
        progress?.note(writer)
    }

    /// Returns when everything appended, to whatever segment, is durable.
    func synchronize() throws(ApusError) {
        let writer = try current()
        try synchronizeValues()
        try writer.synchronize()
        progress?.note(writer)
    }

    /// Seals the current segment, durably, and goes on in the next one, which is made now if none was prepared.
    func rotate(forFrameBytes byteCount: Int = 0) throws(ApusError) {
        if let failure { throw failure }
        if let failure = writer?.failure { throw failure }
        let needed = rounded(UInt64(byteCount) + UInt64(SegmentHeader.byteCount))
        guard needed <= Self.maximumByteCount else {
            throw ApusError(.invalidArgument, "\(byteCount) bytes are more than one log segment can hold")
        }
        // First what may be refused for lack of space, while nothing has changed yet.
        let segment = try takeNext(needing: needed)
        var previous: LogSegment?
        if let writer {
            try synchronizeValues()
            try writer.synchronize()
            previous = figures(of: writer)
            lastSequence = writer.lastSequence
        }
        let header = SegmentHeader(
            purpose: .log,
            number: segment.number,
            databaseID: configuration.databaseID,
            capacity: segment.capacity,
            previousNumber: previous?.number ?? 0,
            previousByteCount: previous?.byteCount ?? 0,
            previousLastSequence: lastSequence
        )
        let successor: LogWriter
        do {
            successor = try files.activate(segment, header)
        } catch {
            let failed = ApusError(
                .failed,
                "\(error); nothing more is written until the database is reopened",
                file: segment.path,
                systemCode: error.code
            )
            failure = failed
            throw failed
        }
        writer?.close()
        writer = successor
        let current = Progress(figures(of: successor))
        progress = current
        shared.withLock { shared in
            if let previous { shared.sealed.append(previous) }
            shared.current = current
        }
    }

    /// Where the log ends, for the clean-close record, after making all of it durable. Nothing can be appended after.
    func close() throws(ApusError) -> LogSegment {
        try synchronize()
        let end = figures(of: try current())
        writer?.close()
        closeNext()
        return end
    }

    /// Closes the files and leaves everything as it is, as a crash would.
    func abandon() {
        writer?.close()
        closeNext()
    }

    private func closeNext() {
        next.withLock { next in
            try? next?.file.close()
            setNext(&next, nil)
            // A preparation may still be on its way to a thread: nobody would remove the file that it makes.
            isClosed = true
        }
    }

    // MARK: - Preparing and releasing (any thread)

    /// Whether a background job should call `prepareNext`.
    var needsPreparation: Bool { !isNextReady.load(ordering: .relaxed) }

    /// Makes the next segment ahead of time, registers it, and keeps it for `rotate`. Does nothing if there is one.
    func prepareNext() throws(ApusError) {
        try next.withLock { (next) throws(ApusError) in
            if next == nil && !isClosed { setNext(&next, try makeNext(needing: 0)) }
        }
    }

    /// The segments that hold batches or may come to hold them, oldest first, the current one last.
    var segments: [LogSegment] {
        shared.withLock { shared in shared.sealed + (shared.current.map { [$0.segment] } ?? []) }
    }

    /// Gives up the oldest segments that hold nothing newer than `sequence`, never the current one. True if there are
    /// segments for `retireReleased`, these or earlier ones.
    func release(through sequence: SequenceNumber) -> Bool {
        shared.withLock { shared in
            let count = shared.sealed.prefix { $0.lastSequence <= sequence }.count
            shared.released += shared.sealed[..<count]
            shared.sealed.removeFirst(count)
            return !shared.released.isEmpty
        }
    }

    /// Takes the released segments out of the manifest and keeps their files for reuse, or removes them. After an
    /// error the next call tries again.
    ///
    /// The manifest must lose segments in the order of the log: one that is missing between two others is damage to
    /// the next open. So there is one list, and one call at a time.
    func retireReleased() throws(ApusError) {
        try retirement.withLock { (_) throws(ApusError) in
            let segments = shared.withLock { $0.released }
            guard !segments.isEmpty else { return }
            try unregister(segments.map(\.number))
            shared.withLock { $0.released.removeFirst(segments.count) }
            for segment in segments {
                let isKept = shared.withLock { shared in
                    guard segment.capacity == ordinaryByteCount, shared.spares.count < configuration.spareLimit else {
                        return false
                    }
                    shared.spares.append(segment.number)
                    return true
                }
                if !isKept { try files.remove(segment.number) }
            }
        }
    }

    // MARK: - Inside

    private var ordinaryByteCount: UInt64 { rounded(configuration.segmentByteCount) }

    private func rounded(_ byteCount: UInt64) -> UInt64 {
        (byteCount + Self.granularity - 1) & ~(Self.granularity - 1)
    }

    private func current() throws(ApusError) -> LogWriter {
        if let failure { throw failure }
        guard let writer else { preconditionFailure("the log is used before it was started") }
        return writer
    }

    private func takeNext(needing byteCount: UInt64) throws(ApusError) -> PreparedSegment {
        try next.withLock { (next) throws(ApusError) in
            var segment = if let next { next } else { try makeNext(needing: byteCount) }
            // Kept until it is really taken: a segment that cannot grow now stays for a smaller group.
            setNext(&next, segment)
            try files.extend(&segment, to: byteCount)
            setNext(&next, nil)
            return segment
        }
    }

    /// Called with `next` held.
    private func setNext(_ next: inout PreparedSegment?, _ segment: PreparedSegment?) {
        next = segment
        isNextReady.store(segment != nil, ordering: .relaxed)
    }

    /// Called with `next` held.
    private func makeNext(needing byteCount: UInt64) throws(ApusError) -> PreparedSegment {
        let retired: FileNumber? = shared.withLock { shared in
            byteCount <= ordinaryByteCount && !shared.spares.isEmpty ? shared.spares.removeFirst() : nil
        }
        let segment = try prepare(needing: byteCount, reusing: retired)
        do {
            try register(segment.number, segment.capacity)
        } catch {
            try? segment.file.close()
            // Only without space is it certain that the manifest does not list the segment.
            if error.kind == .outOfSpace { try? files.remove(segment.number) }
            throw error
        }
        return segment
    }

    /// A segment of the ordinary size or the one needed; smaller ones where the device has no room for that, because
    /// deleting needs log, too.
    private func prepare(needing byteCount: UInt64, reusing retired: FileNumber?) throws(ApusError) -> PreparedSegment {
        let number = allocateNumber()
        let least = max(byteCount, min(ordinaryByteCount, Self.leastByteCount))
        var capacity = max(ordinaryByteCount, byteCount)
        var retired = retired
        while true {
            do {
                return try files.prepare(number, capacity: capacity, reusing: retired)
            } catch {
                guard error.kind == .outOfSpace, capacity > least else { throw error }
                capacity = max(least, rounded(capacity / 8))
                retired = nil
            }
        }
    }

    private func figures(of writer: LogWriter) -> LogSegment {
        LogSegment(
            number: writer.number,
            capacity: writer.capacity,
            byteCount: writer.writtenByteCount,
            firstSequence: writer.firstSequence,
            lastSequence: writer.lastSequence
        )
    }
}
