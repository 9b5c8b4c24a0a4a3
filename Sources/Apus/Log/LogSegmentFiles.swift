// Making log segments, and reusing them.
//
// A segment is prepared in steps, each durable before the next: 1. the name and the reserved space  2. its entry in
// the manifest. Only then may it come into use: 3. its header is written and synced. So a live segment that is
// missing, shorter than its reservation, or holds frames without a header, is damage and never a crash.
//
// A reused file keeps the bytes of its former life behind the zeroed header; its new number, which is part of every
// frame's checksums, makes them meaningless. Overwriting them saves the file system's journal a write at each sync.

import ApusIO

/// A segment with space and a durable name that nobody writes yet.
struct PreparedSegment: Sendable {
    let number: FileNumber
    let path: String
    let file: any File
    var capacity: UInt64
}

/// Creates, reuses and removes segment files. A value without state; any thread.
struct LogSegmentFiles: Sendable {
    let directory: String
    let fileSystem: any FileSystem

    func path(_ number: FileNumber) -> String { FileName.log(number).path(in: directory) }

    /// A segment with `capacity` bytes, made from the file of a `retired` segment of at least that size if there is
    /// one. On failure the new name is gone again as far as the file system allows; nothing depends on it.
    func prepare(
        _ number: FileNumber,
        capacity: UInt64,
        reusing retired: FileNumber?
    ) throws(ApusError) -> PreparedSegment {
        let path = path(number)
        do throws(IOError) {
            if let retired { try fileSystem.rename(self.path(retired), to: path) }
            let file = try fileSystem.open(path, retired == nil ? .create : .update)
            do throws(IOError) {
                try file.allocate(capacity)
                let zeros = [UInt8](repeating: 0, count: SegmentHeader.byteCount)
                try file.write(zeros, at: 0)
                try file.synchronize()
                try fileSystem.synchronizeDirectory(directory)
            } catch {
                try? file.close()
                throw error
            }
            return PreparedSegment(number: number, path: path, file: file, capacity: capacity)
        } catch {
            try? fileSystem.remove(path)
            throw ApusError(error)
        }
    }

    /// Makes room in a segment that is not in use yet.
    func extend(_ segment: inout PreparedSegment, to capacity: UInt64) throws(ApusError) {
        guard segment.capacity < capacity else { return }
        let file = segment.file
        try io { () throws(IOError) in
            try file.allocate(capacity)
            try file.synchronize()
        }
        segment.capacity = capacity
    }

    /// Writes the header that brings a segment into use, durably.
    func activate(_ segment: PreparedSegment, _ header: SegmentHeader) throws(IOError) -> LogWriter {
        try segment.file.write(header.encoded, at: 0)
        try segment.file.synchronize()
        return LogWriter(file: segment.file, path: segment.path, header: header)
    }

    /// Removes the file of a segment that the manifest no longer lists. A name that comes back after a crash is
    /// harmless: opening removes it.
    func remove(_ number: FileNumber) throws(ApusError) {
        let path = path(number)
        do { try fileSystem.remove(path) } catch {
            guard error.kind == .notFound else { throw ApusError(error) }
        }
    }
}

extension File {
    /// Writes all of `bytes`.
    func write(_ bytes: [UInt8], at offset: UInt64) throws(IOError) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(IOError) in
            try write(UnsafeRawBufferPointer(bytes), at: offset)
        }
    }
}
