// Reads separated values by their references. Files are opened when they are first read, a bounded number of them
// (FilePool). Every byte that is handed out has been checked against its record's checksums and its place.

import ApusIO
import Synchronization

/// The blob files of a database. Thread-safe. A read costs one system call and a few short locks, or less where the value
/// is in the cache; large values are left to the system's page cache.
final class BlobStore: BlobSource {
    private let pool: FilePool
    private let cache: ValueCache?
    private let path: @Sendable (FileNumber) -> String
    private let files = Monitor<[FileNumber: BlobFile]>([:])

    /// References beyond this many bytes are held against the file's length before memory is allocated for them.
    private static let trustedByteCount: UInt32 = 1 << 20

    /// - Parameters:
    ///   - cache: keeps the smaller values that are read; nil for passes over all of them.
    ///   - path: where a blob file is.
    init(pool: FilePool, cache: ValueCache? = nil, path: @escaping @Sendable (FileNumber) -> String) {
        self.pool = pool
        self.cache = cache
        self.path = path
    }

    func withValue(
        of reference: BlobReference, _ body: (UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError) {
        guard let cache, ValueCache.holds(reference) else {
            return try withRecord(reference) { (record) throws(ApusError) in
                if record.header.codec == .none { return try body(record.stored) }
                try record.value(file: path(reference.file), offset: reference.offset).withBytes(body)
            }
        }
        let pin = cache.epochs.pin()
        defer { cache.epochs.unpin(pin) }
        if let value = cache.find(reference) { return try body(value) }
        try body(try load(reference, into: cache))
    }

    /// Reads a value into the cache. Valid while the caller's epoch pin lasts.
    private func load(_ reference: BlobReference, into cache: ValueCache) throws(ApusError) -> UnsafeRawBufferPointer {
        let file = file(reference.file)
        try check(reference, in: file)
        let source = ValueCache.makeBlock(byteCount: Int(reference.storedByteCount))
        var isTaken = false
        defer { if !isTaken { source.release() } }
        let start = ValueCache.headerByteCount
        let bytes = UnsafeMutableRawBufferPointer(start: source.bytes + start, count: source.byteCount - start)
        let record = try read(reference, into: bytes, from: file)
        if record.header.codec == .none {
            isTaken = true
            return cache.insert(source, reference, valueOffset: source.byteCount - Int(reference.valueByteCount))
        }
        let block = ValueCache.makeBlock(byteCount: Int(reference.valueByteCount))
        let target = UnsafeMutableRawBufferPointer(start: block.bytes + start, count: Int(reference.valueByteCount))
        guard record.header.codec.decompress(record.stored, into: target) else {
            block.release()
            throw .corruption("A value does not decompress", file: path(reference.file), offset: reference.offset)
        }
        return cache.insert(block, reference, valueOffset: start)
    }

    /// Calls `body` with the verified record behind `reference`; its views end with the call.
    func withRecord<Result>(
        _ reference: BlobReference,
        _ body: (BlobRecord) throws(ApusError) -> Result
    ) throws(ApusError) -> Result {
        let file = file(reference.file)
        let byteCount = Int(reference.storedByteCount)
        try check(reference, in: file)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 16)
        defer { buffer.deallocate() }
        return try body(try read(reference, into: buffer, from: file))
    }

    /// Throws unless the reference may be one, so that nobody allocates what a damaged one asks for.
    private func check(_ reference: BlobReference, in file: BlobFile) throws(ApusError) {
        let byteCount = Int(reference.storedByteCount)
        guard (BlobFormat.recordHeaderByteCount...BlobFormat.maximumRecordByteCount).contains(byteCount) else {
            throw .corruption(
                "A reference to a value of \(byteCount) stored bytes",
                file: file.path,
                offset: reference.offset
            )
        }
        if reference.storedByteCount > Self.trustedByteCount {
            let length = try file.file.byteCount()
            guard reference.offset <= length, UInt64(byteCount) <= length - reference.offset else {
                throw beyondEnd(file, reference)
            }
        }
    }

    /// Reads the record behind `reference` into `buffer`, which is as long, and verifies it.
    private func read(
        _ reference: BlobReference, into buffer: UnsafeMutableRawBufferPointer, from file: BlobFile
    ) throws(ApusError) -> BlobRecord {
        try file.checkHeader()
        guard try file.file.read(into: buffer, at: reference.offset) == buffer.count else {
            throw beyondEnd(file, reference)
        }
        let record = try BlobRecord(
            UnsafeRawBufferPointer(buffer),
            file: reference.file,
            offset: reference.offset,
            path: file.path
        )
        guard record.header.valueByteCount == reference.valueByteCount else {
            throw .corruption(
                "A value has \(record.header.valueByteCount) bytes where \(reference.valueByteCount) were expected",
                file: file.path,
                offset: reference.offset
            )
        }
        return record
    }

    /// Throws unless the record behind `reference` is one of `key` and as long as the reference says. Reads no value.
    func check(_ reference: BlobReference, of key: UnsafeRawBufferPointer) throws(ApusError) {
        let file = file(reference.file)
        try file.checkHeader()
        let byteCount = BlobFormat.recordHeaderByteCount + key.count
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 16)
        defer { buffer.deallocate() }
        guard try file.file.read(into: buffer, at: reference.offset) == byteCount else {
            throw beyondEnd(file, reference)
        }
        let found = UnsafeRawBufferPointer(buffer)
        guard let header = BlobRecordHeader(found, file: reference.file, offset: reference.offset) else {
            throw .corruption("A reference leads to no value", file: file.path, offset: reference.offset)
        }
        guard header.recordByteCount == UInt64(reference.storedByteCount),
            header.valueByteCount == reference.valueByteCount
        else {
            throw .corruption(
                "A reference to \(reference.valueByteCount) bytes (\(reference.storedByteCount) stored) leads to a value"
                    + " of \(header.valueByteCount) (\(header.recordByteCount) stored)",
                file: file.path,
                offset: reference.offset
            )
        }
        let foundKey = UnsafeRawBufferPointer(rebasing: found[BlobFormat.recordHeaderByteCount...])
        guard Int(header.keyByteCount) == key.count, equalBytes(foundKey, key) else {
            throw .corruption(
                "A reference leads to the value of another key",
                file: file.path,
                offset: reference.offset
            )
        }
    }

    /// The file is about to be removed: its descriptor is closed as soon as nobody is reading.
    func forget(_ number: FileNumber) {
        _ = files.withLock { $0.removeValue(forKey: number) }
    }

    private func file(_ number: FileNumber) -> BlobFile {
        files.withLock { files in
            if let file = files[number] { return file }
            let file = BlobFile(number, PooledFile(pool: pool, path: path(number)))
            files[number] = file
            return file
        }
    }

    private func beyondEnd(_ file: BlobFile, _ reference: BlobReference) -> ApusError {
        .corruption(
            "A value of \(reference.storedByteCount) stored bytes goes beyond the end of the file",
            file: file.path,
            offset: reference.offset
        )
    }
}

/// One blob file while somebody may read it. Readers hold it for the length of a read, so the last reference goes when
/// nobody reads.
private final class BlobFile: Sendable {
    let file: PooledFile
    private let number: FileNumber
    private let isChecked = Atomic(false)

    init(_ number: FileNumber, _ file: PooledFile) {
        self.number = number
        self.file = file
    }

    deinit { file.close() }

    var path: String { file.path }

    /// The header tells whether the records mean what this program thinks. Where it is damaged, they still do: each has
    /// checksums that bind it to its file and place. `verify` reports the header.
    func checkHeader() throws(ApusError) {
        if isChecked.load(ordering: .relaxed) { return }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: BlobFormat.headerByteCount, alignment: 8)
        defer { buffer.deallocate() }
        let count = try file.read(into: buffer, at: 0)
        do throws(ApusError) {
            try BlobFormat.checkHeader(UnsafeRawBufferPointer(rebasing: buffer[..<count]), number, path: path)
        } catch {
            guard error.kind == .corruption else { throw error }
        }
        isChecked.store(true, ordering: .relaxed)
    }
}
