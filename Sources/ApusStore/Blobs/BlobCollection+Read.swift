// Reading blobs: whole, in part, and piece by piece. Small blobs take one lookup; large ones are assembled from their
// chunks, of which one at a time is in memory.

public import Apus
import ApusIO

extension BlobCollection {
    /// The whole content; nil if there is no such blob.
    ///
    /// The content is not hashed again: the engine has checked what it read against its checksums. See `verify`.
    public func get(_ id: BlobID) throws -> [UInt8]? {
        try get(id, in: store)
    }

    /// The whole content; nil if there is no such blob.
    public func get(_ id: BlobID, in reader: some StoreReader) throws -> [UInt8]? {
        // Most blobs are small: what they are need not be looked up first.
        if let content = try whole(id, in: reader) { return content }
        return try get(id, 0..<UInt64.max, in: reader)
    }

    /// The part of the content that lies in `range`, as far as there is any; nil if there is no such blob.
    public func get(_ id: BlobID, _ range: Range<UInt64>) throws -> [UInt8]? {
        try get(id, range, in: store)
    }

    /// The part of the content that lies in `range`, as far as there is any; nil if there is no such blob.
    public func get(_ id: BlobID, _ range: Range<UInt64>, in reader: some StoreReader) throws -> [UInt8]? {
        try store.withMoment(of: reader) { moment in
            guard let record = try record(of: id, in: moment) else { return nil }
            let range = range.clamped(to: 0..<record.byteCount)
            guard case .chunked(let list) = record.layout else {
                guard let content = try whole(id, in: moment) else { throw damaged(id, "its content is missing") }
                try check(content.count, record, id)
                return Array(content[Int(range.lowerBound)..<Int(range.upperBound)])
            }
            // What the pages promise is added up before anything is allocated on the word of a record.
            var chunks: [(entry: ChunkEntry, offset: UInt64)] = []
            try forEachChunk(of: list, in: range, of: id, reader: moment) { entry, offset in
                chunks.append((entry, offset))
                return .next
            }
            let end = chunks.last.map { $0.offset + UInt64($0.entry.byteCount) } ?? range.lowerBound
            guard let byteCount = Int(exactly: range.upperBound - range.lowerBound), end >= range.upperBound else {
                throw damaged(id, "its list of chunks ends too early")
            }
            var scratch: [UInt8] = []
            return try [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
                let target = UnsafeMutableRawBufferPointer(buffer)
                // Fresh memory costs more than reading: a page fault for every 4 KiB.
                PageMemory.adviseHugePages(target)
                for (entry, offset) in chunks {
                    try withChunk(entry, of: id, at: offset, within: range, scratch: &scratch, in: moment) { bytes in
                        UnsafeMutableRawBufferPointer(rebasing: target[count...]).copyMemory(from: bytes)
                        count += bytes.count
                    }
                }
            }
        }
    }

    /// Calls `body` with the content, piece by piece in order, until it returns `.stop`. One piece is in memory at a time,
    /// and the blob stays whole meanwhile, whatever is reclaimed.
    ///
    /// - Parameters:
    ///   - range: the part of the content to read; all of it by default.
    ///   - body: the bytes are valid only during the call.
    /// - Throws: `StoreError` with `notFound` if there is no such blob; what `body` throws.
    public func read(
        _ id: BlobID, _ range: Range<UInt64> = 0..<UInt64.max, _ body: (RawSpan) throws -> ScanStep
    ) throws {
        try read(id, range, in: store, body)
    }

    /// See `read(_:_:_:)`.
    public func read(
        _ id: BlobID, _ range: Range<UInt64> = 0..<UInt64.max, in reader: some StoreReader,
        _ body: (RawSpan) throws -> ScanStep
    ) throws {
        try store.withMoment(of: reader) { moment in
            guard let record = try record(of: id, in: moment) else { throw missing(id) }
            let range = range.clamped(to: 0..<record.byteCount)
            guard !range.isEmpty else { return }
            guard case .chunked(let list) = record.layout else {
                guard let content = try whole(id, in: moment) else { throw damaged(id, "its content is missing") }
                try check(content.count, record, id)
                _ = try body(content.span.extracting(Int(range.lowerBound)..<Int(range.upperBound)).bytes)
                return
            }
            var scratch: [UInt8] = []
            var end = range.lowerBound
            var isStopped = false
            try forEachChunk(of: list, in: range, of: id, reader: moment) { entry, offset in
                try withChunk(entry, of: id, at: offset, within: range, scratch: &scratch, in: moment) { bytes in
                    isStopped = try body(bytes.bytes) == .stop
                }
                end = offset + UInt64(entry.byteCount)
                return isStopped ? .stop : .next
            }
            if !isStopped && end < range.upperBound { throw damaged(id, "its list of chunks ends too early") }
        }
    }

    /// Writes the content to a new file, in bounded memory. The file is on stable storage when the call returns.
    ///
    /// - Throws: `StoreError` with `notFound` if there is no such blob; `ApusError` if the file exists or cannot be
    ///   written, and no file is left then.
    public func get(_ id: BlobID, toFileAt path: String) throws {
        let fileSystem = store.database.environment.fileSystem
        guard try contains(id) else { throw missing(id) }
        let file = try fileCall { () throws(IOError) in try fileSystem.open(path, .create) }
        do {
            var offset: UInt64 = 0
            try read(id) { piece in
                try piece.withBytes { bytes in
                    try fileCall { () throws(IOError) in try file.write(bytes, at: offset) }
                    offset += UInt64(bytes.count)
                }
                return .next
            }
            try fileCall { () throws(IOError) in try file.synchronize() }
            try fileCall { () throws(IOError) in try file.close() }
            try fileCall { () throws(IOError) in try fileSystem.synchronizeDirectory(Self.directory(of: path)) }
        } catch {
            // Half a file is worse than none; if it cannot be removed either, the first error says more.
            try? fileSystem.remove(path)
            throw error
        }
    }

    private static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Reads the whole content and compares its hash with its address.
    ///
    /// - Throws: `StoreError` with `notFound` if there is no such blob, `corruption` if it is not what was put;
    ///   `ApusError` with `corruption` if the engine finds out first.
    public func verify(_ id: BlobID) throws {
        var hash = ContentHash()
        try read(id) { piece in
            piece.withBytes { hash.update($0) }
            return .next
        }
        if hash.finish() != id { throw damaged(id, "its content has another hash") }
    }

    // MARK: For the other parts

    /// The content of a blob that is kept whole; nil if there is none of that address.
    func whole(_ id: BlobID, in reader: some StoreReader) throws -> [UInt8]? {
        try reader.withValue(for: id, in: content) { stored in
            try stored.withBytes { stored in
                guard let byteCount = ContentCodec.contentByteCount(of: stored, limit: largestWhole) else {
                    throw damaged(id, "its content is damaged")
                }
                return try [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
                    guard ContentCodec.decode(stored, into: UnsafeMutableRawBufferPointer(buffer)) else {
                        throw damaged(id, "its content is damaged")
                    }
                    count = byteCount
                }
            }
        }
    }

    private func check(_ byteCount: Int, _ record: BlobRecord, _ id: BlobID) throws(StoreError) {
        if UInt64(byteCount) != record.byteCount {
            throw damaged(id, "its content has \(byteCount) bytes, its record says \(record.byteCount)")
        }
    }

    /// Calls `body` with every chunk of a list that has a part in `range`, and where it begins.
    func forEachChunk(
        of list: UInt64, in range: Range<UInt64>, of id: BlobID, reader: any StoreReader,
        _ body: (ChunkEntry, UInt64) throws -> ScanStep
    ) throws {
        guard !range.isEmpty else { return }
        let pages = KeyRange.prefix(BlobIndexKey.pages(list))
        var first = pages
        // The page that the range begins in is the last one that begins no later.
        let upper = BlobIndexKey.page(list, offset: range.lowerBound) + [0]
        try reader.scan(KeyRange(lower: pages.lower, upper: upper), in: index, reversed: true, limit: 1) { key, _ in
            first.lower = key.withBytes { [UInt8]($0) }
            return .stop
        }
        var expected: UInt64?
        try reader.scan(first, in: index) { key, value in
            guard var offset = key.withBytes({ BlobIndexKey.number(in: $0, at: 9) }),
                offset <= BlobRecord.largestContent, let entries = value.withBytes({ BlobPage.decode($0) }),
                expected == nil || expected == offset
            else { throw damaged(id, "a page of its list is damaged or missing") }
            for entry in entries {
                if offset >= range.upperBound { return .stop }
                let end = offset + UInt64(entry.byteCount)
                if end > range.lowerBound, try body(entry, offset) == .stop { return .stop }
                offset = end
            }
            expected = offset
            return .next
        }
    }

    /// Calls `body` with the part of a chunk that lies in `range`.
    private func withChunk(
        _ entry: ChunkEntry, of id: BlobID, at offset: UInt64, within range: Range<UInt64>, scratch: inout [UInt8],
        in reader: any StoreReader, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let lower = Int(max(range.lowerBound, offset) - offset)
        let upper = Int(min(range.upperBound, offset + UInt64(entry.byteCount)) - offset)
        let isSound = try reader.withValue(for: entry.address, in: content) { stored in
            try stored.withBytes { stored in
                try ContentCodec.withChunk(stored, byteCount: entry.byteCount, scratch: &scratch) {
                    try body(UnsafeRawBufferPointer(rebasing: $0[lower..<upper]))
                }
            }
        }
        guard let isSound else { throw damaged(id, "chunk \(entry.address) is missing") }
        guard isSound else { throw damaged(id, "chunk \(entry.address) is damaged") }
    }
}
