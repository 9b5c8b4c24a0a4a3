// The blob file that takes the large values of one memtable as they are committed. The log and the memtable get
// references; when the memtable is flushed, its table refers to the same file, which enters the manifest with it. So a
// large value is written once, not to the log first and to a blob file later.
//
//   1. The commit leader reserves space, appends values and hands them to the system, before it logs the references.
//   2. The file is synced before the log is: a reference that is durable has its value. What the log says was durable
//      therefore vouches for values too; a reference behind that whose value is not whole is where a crash tore the log.
//   3. The memtable is sealed. The flush ends the file with its footer, and the manifest gets it together with the table.
//
// Until 3 the manifest does not know the file, and recovery does not keep it: it reads the values and writes them anew.

import ApusIO

/// A blob file under way.
///
/// `@unchecked Sendable`: before the memtable is sealed only the commit leader touches it, afterwards only its flush,
/// and `lease` is immutable.
final class ValueFile: @unchecked Sendable {
    /// Keeps the file as long as somebody may read it: whoever has the memtable, or a version with the file.
    let lease: ObsoleteFiles.Lease
    private let writer: BlobWriter
    private let directory: String
    private let fileSystem: any FileSystem
    /// Its name may not be durable yet.
    private var isNew = true
    /// Something was written since the last sync.
    private(set) var needsSync = false
    private var failure: ApusError?
    private var metadata: BlobFileMetadata?

    init(
        _ number: FileNumber, codec: Codec, directory: String, fileSystem: any FileSystem, obsoleteFiles: ObsoleteFiles
    ) throws(ApusError) {
        self.directory = directory
        self.fileSystem = fileSystem
        writer = try BlobWriter(
            fileSystem: fileSystem, path: FileName.blob(number).path(in: directory), number: number, codec: codec)
        lease = ObsoleteFiles.Lease(number, files: obsoleteFiles)
    }

    var number: FileNumber { writer.number }
    /// Whether the memtable should be sealed for the file's sake.
    func isFull(at limit: UInt64) -> Bool { writer.byteCount >= limit }
    /// The file could not be ended: its values have to go to another one.
    var isBroken: Bool { failure != nil }

    /// Bytes that the record of a value takes at most.
    static func recordByteCount(key: Int, value: Int) -> Int { BlobFormat.recordHeaderByteCount + key + value }

    // MARK: The commit leader's

    /// Makes sure that there is space for records of that many bytes. An error leaves everything as it is.
    func reserve(_ byteCount: Int, inStepsOf step: UInt64) throws(ApusError) {
        if let failure { throw failure }
        try writer.reserve(byteCount, inStepsOf: step)
    }

    /// - Precondition: there is space for it.
    func append(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws(ApusError) -> BlobReference {
        needsSync = true
        do {
            return try writer.append(key, value)
        } catch {
            throw poison(error)
        }
    }

    /// Hands the values to the operating system: they survive the end of the process.
    func write() throws(ApusError) {
        do {
            try writer.write()
        } catch {
            throw poison(error)
        }
    }

    /// Makes the values durable. A failure is final: the system may have dropped what it could not write.
    func synchronize() throws(ApusError) {
        if let failure { throw failure }
        guard needsSync else { return }
        do {
            try writer.synchronize()
            if isNew { try io { () throws(IOError) in try fileSystem.synchronizeDirectory(directory) } }
        } catch {
            throw poison(error)
        }
        isNew = false
        needsSync = false
    }

    private func poison(_ error: ApusError) -> ApusError {
        let failed = ApusError(
            .failed, "\(error); nothing more is written until the database is reopened", file: writer.path,
            systemCode: error.systemCode)
        failure = failed
        return failed
    }

    // MARK: The flush's

    /// Ends the file. If that fails, the values are still there to be read, but have to go to another file.
    func finish() throws(ApusError) -> BlobFileMetadata {
        if let metadata { return metadata }
        if let failure { throw failure }
        do {
            let finished = try writer.finish()
            metadata = finished
            return finished
        } catch {
            failure = error
            writer.abandon()
            throw error
        }
    }

    /// Closes the file and leaves it as it is, as a crash would.
    func abandon() { writer.abandon() }
}
