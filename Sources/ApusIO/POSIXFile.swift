// An open file of the operating system: positioned reads and writes on one descriptor, which is closed exactly once.

import Synchronization

/// A file descriptor and its owner.
///
/// Reads carry their own offset, so any number of threads may read at once, also beside the one that writes. `@unchecked
/// Sendable`: the window and what waits for the disk belong to the one thread that writes at a time, and to `close`, which
/// comes after it; all else is immutable, atomic or behind a lock.
final class POSIXFile: File, @unchecked Sendable {
    /// -1 once closed: a late call then fails with EBADF instead of reaching whatever file got the number next.
    private let descriptor: Atomic<Descriptor>
    private let path: String

    /// What `store` goes through.
    @exclusivity(unchecked) private var window: MappedWindow?
    /// Whether the file can be stored into; nil before the first time.
    @exclusivity(unchecked) private var isStorable: Bool?
    /// The file was synced since the window was made ready.
    private let isWindowStale = Atomic(false)

    /// What another thread has made ready behind the window.
    private struct Prepared {
        var window: MappedWindow?
        /// The window before the current one.
        var done: MappedWindow?
        /// How often the file had been synced before.
        var synchronizations = 0
        /// Another thread is at work, and uses the descriptor.
        var isBusy = false
        /// The descriptor may belong to another file.
        var isClosed = false
    }
    private let prepared = TimedMonitor(Prepared())
    private let synchronizations = Atomic(0)

    /// Up to here the file has its space.
    @exclusivity(unchecked) private var allocatedByteCount: UInt64 = 0
    /// Written in a row, and not yet on their way to the disk. Belongs to the thread that writes.
    @exclusivity(unchecked) private var waiting: Range<UInt64> = 0..<0
    /// Enough for a disk to be busy for a while.
    private static let writebackByteCount: UInt64 = 1 << 20
    /// Pieces from here on are written even by `store`: one call copies them at the cost of making their pages writable.
    private static let largestStored = 4 << 10

    init(adopting descriptor: Descriptor, path: String) {
        self.descriptor = Atomic(descriptor)
        self.path = path
    }

    deinit {
        // A file that was written is closed explicitly and its error seen; this is for the rest.
        try? closeOnce()
    }

    private var current: Descriptor { descriptor.load(ordering: .relaxed) }

    private func closeOnce() throws(IOError) {
        let owned = descriptor.exchange(-1, ordering: .relaxed)
        if owned >= 0 { try Syscalls.close(owned, path: path) }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(IOError) -> Int {
        try Syscalls.read(current, buffer, at: offset, path: path)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError) {
        try Syscalls.write(current, bytes, at: offset, path: path)
        // An error is thrown here: that the file system found no place for bytes it had taken, it may say only once, to the
        // call that begins with them.
        if let due = dueForWriteback(offset..<(offset + UInt64(bytes.count))) {
            try Syscalls.beginWriteback(current, due, path: path)
        }
    }

    /// What the disk should begin with now, if anything: a sync that comes after a hundred megabytes would let everybody
    /// wait who writes. Bytes in a window follow when the window moves on.
    private func dueForWriteback(_ written: Range<UInt64>) -> Range<UInt64>? {
        waiting = waiting.upperBound == written.lowerBound ? waiting.lowerBound..<written.upperBound : written
        guard waiting.upperBound - waiting.lowerBound >= Self.writebackByteCount else { return nil }
        defer { waiting = waiting.upperBound..<waiting.upperBound }
        return waiting
    }

    @inline(__always)
    func store(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError) {
        if bytes.count < Self.largestStored, let window, window.contains(offset, bytes.count),
            !isWindowStale.load(ordering: .relaxed)
        {
            return window.store(bytes, at: offset)
        }
        try storeElsewhere(bytes, at: offset)
    }

    /// Moves the window, or writes if there can be none.
    @inline(never)
    private func storeElsewhere(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError) {
        guard bytes.count < Self.largestStored, moveWindow(to: offset), let window,
            window.contains(offset, bytes.count)
        else { return try writeBesideWindow(bytes, at: offset) }
        window.store(bytes, at: offset)
    }

    /// Writes, and leaves it to another thread to have the disk begin: that may take the time of ten such writes.
    private func writeBesideWindow(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError) {
        let end = offset + UInt64(bytes.count)
        guard findStorable(), end <= allocatedByteCount else { return try write(bytes, at: offset) }
        try Syscalls.write(current, bytes, at: offset, path: path)
        guard let due = dueForWriteback(offset..<end) else { return }
        PageHelper.shared.run { [self] in
            whileOpen { beginWritebackOfAllocated(due) }
        }
    }

    /// These bytes have their place already, so that what fails is an error of the disk, and the next sync's.
    private func beginWritebackOfAllocated(_ range: Range<UInt64>) {
        try? Syscalls.beginWriteback(current, range, path: path)
    }

    /// Runs `work` of another thread, unless the file is closed; `close` waits for it, and nobody else does.
    private func whileOpen(_ work: () -> Void) {
        let mayWork = prepared.withLock { prepared in
            guard !prepared.isClosed, !prepared.isBusy else { return false }
            prepared.isBusy = true
            return true
        }
        guard mayWork else { return }
        work()
        prepared.withLock { $0.isBusy = false }
        prepared.broadcast()
    }

    private func findStorable() -> Bool {
        if isStorable == nil { isStorable = MappedWindow.isReliable(current) }
        return isStorable!
    }

    /// False if nothing can be stored at `offset`.
    private func moveWindow(to offset: UInt64) -> Bool {
        let wasStale = isWindowStale.exchange(false, ordering: .relaxed)
        if let window, window.range.contains(offset) {
            // What straddles the end is written; what follows needs the next window.
            if !wasStale && window.isReady(from: offset) || window.prepare(from: offset) { return true }
            self.window = nil
            isStorable = false
            return false
        }
        let old = window
        window = nil
        guard findStorable(), let length = try? byteCount(), offset < length else { return false }
        window = takePrepared(for: offset) ?? MappedWindow(current, at: offset, fileByteCount: length)
        isStorable = window != nil
        guard let window else { return false }
        prepared.withLock { $0.done = old }
        prepareWindow(after: window, fileByteCount: length)
        return true
    }

    /// The window made ahead of time, if it is the right one.
    private func takePrepared(for offset: UInt64) -> MappedWindow? {
        let (ready, isFresh) = prepared.withLock { prepared in
            defer { prepared.window = nil }
            return (prepared.window, prepared.synchronizations == synchronizations.load(ordering: .relaxed))
        }
        guard let ready, ready.range.contains(offset), isFresh || ready.prepare(from: offset) else { return nil }
        return ready
    }

    /// Has the next window made by another thread, which also puts the one before away and lets the disk begin with it.
    /// The lock is free while that thread waits for the system, so that the writer never does.
    private func prepareWindow(after window: MappedWindow, fileByteCount: UInt64) {
        let start = window.range.upperBound
        PageHelper.shared.run { [self] in
            whileOpen {
                let synchronizations = self.synchronizations.load(ordering: .relaxed)
                let next = MappedWindow(
                    current, at: start, fileByteCount: fileByteCount, ready: MappedWindow.byteCount)
                var done = prepared.withLock { prepared in
                    prepared.synchronizations = synchronizations
                    prepared.window = next
                    defer { prepared.done = nil }
                    return prepared.done
                }
                guard let written = done?.range else { return }
                // Unmapped first: of a mapped page that is being written, the system tells every processor.
                done = nil
                beginWritebackOfAllocated(written)
            }
        }
    }

    func synchronize() throws(IOError) {
        isWindowStale.store(true, ordering: .relaxed)
        // Counted before and after: a window that is made ready meanwhile is not to be relied on either.
        synchronizations.wrappingAdd(1, ordering: .relaxed)
        defer { synchronizations.wrappingAdd(1, ordering: .relaxed) }
        try Syscalls.synchronizeData(current, path: path)
    }

    func allocate(_ byteCount: UInt64) throws(IOError) {
        let length = try self.byteCount()
        guard byteCount > length else { return }
        try Syscalls.allocate(current, from: length, to: byteCount, path: path)
        allocatedByteCount = byteCount
    }

    func truncate(to byteCount: UInt64) throws(IOError) {
        try Syscalls.truncate(current, to: byteCount, path: path)
    }

    func byteCount() throws(IOError) -> UInt64 {
        try Syscalls.status(of: current, path: path).byteCount
    }

    func close() throws(IOError) {
        window = nil
        isStorable = false
        prepared.withLock { $0.isClosed = true }
        prepared.waiting { (prepared) -> TimedMonitor<Prepared>.Step<Void> in
            if prepared.isBusy { return .wait }
            prepared.window = nil
            prepared.done = nil
            return .done(())
        }
        try closeOnce()
    }
}
