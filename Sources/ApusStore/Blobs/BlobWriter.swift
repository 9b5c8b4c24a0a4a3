// Putting a content that arrives in pieces of any size: collects them in one buffer, and stores a page whenever it is
// full.

public import Apus
import ApusIO

/// Puts one content, piece by piece, in bounded memory.
///
/// ```swift
/// let writer = blobs.makeWriter()
/// while let piece = next() { try writer.write(piece) }
/// let id = try writer.finish()
/// ```
/// One thread at a time. A writer that is dropped, or whose call has thrown, has put nothing; what it stored until then
/// is reclaimed by `BlobCollection.collectGarbage()`.
public final class BlobWriter {
    private let collection: BlobCollection
    private let put: ChunkedPut
    /// The part of the content that is in no page yet.
    private var buffer: UnsafeMutableRawBufferPointer
    private var filled = 0
    /// How much of it has been hashed.
    private var hashed = 0
    private var isOver = false
    /// Whether a page has been stored, so that the content cannot be a small one any more.
    private var hasPages = false

    /// Enough for a page after the longest beginning of a chunk that the page before has left.
    private var largestBuffer: Int { collection.chunker.pageByteCount + collection.chunker.maximum }

    init(in collection: BlobCollection) {
        self.collection = collection
        put = ChunkedPut(in: collection)
        buffer = .allocate(byteCount: collection.largestWhole, alignment: 16)
    }

    deinit {
        put.end()
        buffer.deallocate()
    }

    /// Adds bytes to the end of the content.
    public func write(_ bytes: some ByteRepresentable) throws {
        try bytes.withBytes { bytes in
            var start = 0
            while start < bytes.count {
                start += try fill { room in
                    let count = min(room.count, bytes.count - start)
                    room.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + count]))
                    return count
                }
            }
        }
    }

    /// Ends the content and returns its address.
    ///
    /// - Parameter durability: when the call returns; the database's default if nil.
    @discardableResult
    public func finish(durability: Durability? = nil) throws -> BlobID {
        try begin()
        let rest = UnsafeRawBufferPointer(rebasing: buffer[..<filled])
        if !hasPages && filled <= collection.largestWhole {
            return try collection.put(rest, durability: durability)
        }
        return try put.finish(rest, hashed: hashed, durability: durability)
    }

    /// Gives the content up. Idempotent; nothing may be written afterwards.
    public func cancel() {
        isOver = true
        put.end()
    }

    /// Lets `body` put bytes into the free part of the buffer, and stores a page if it is full then.
    ///
    /// - Parameter body: returns how many bytes it has put there.
    func fill(_ body: (UnsafeMutableRawBufferPointer) throws -> Int) throws -> Int {
        try begin()
        if filled == buffer.count {
            if buffer.count < largestBuffer { grow() } else { try storePage() }
        }
        let count = try body(UnsafeMutableRawBufferPointer(rebasing: buffer[filled...]))
        filled += count
        isOver = false
        return count
    }

    /// Marks the writer as failed until the call that begins here has come to its end.
    private func begin() throws {
        if isOver {
            throw StoreError(
                .invalidArgument, "the writer of a blob was finished, cancelled, or has failed",
                collection: collection.collectionName.description)
        }
        isOver = true
    }

    /// Small contents are frequent, and should not pay for a large buffer.
    private func grow() {
        let larger = UnsafeMutableRawBufferPointer.allocate(
            byteCount: min(16 * buffer.count, largestBuffer), alignment: 16)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[..<filled]))
        buffer.deallocate()
        buffer = larger
    }

    private func storePage() throws {
        let window = UnsafeRawBufferPointer(rebasing: buffer[..<filled])
        let stored = try put.append(window, hashed: hashed)
        hasPages = true
        UnsafeMutableRawBufferPointer(rebasing: buffer[..<(filled - stored)]).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: buffer[stored..<filled]))
        filled -= stored
        hashed = filled
    }
}

extension BlobCollection {
    /// Puts a content that arrives in pieces.
    public func makeWriter() -> BlobWriter {
        BlobWriter(in: self)
    }

    /// Stores the content of a file, in bounded memory, and returns its address. See `put(_:durability:)`.
    ///
    /// - Throws: `ApusError` with `io` if the file cannot be read.
    @discardableResult
    public func put(fileAt path: String, durability: Durability? = nil) throws -> BlobID {
        let file = try fileCall { () throws(IOError) in try store.database.environment.fileSystem.open(path, .read) }
        // A file that was only read has nothing to lose.
        defer { try? file.close() }
        let writer = makeWriter()
        var offset: UInt64 = 0
        while true {
            let count = try writer.fill { room in
                try fileCall { () throws(IOError) in try file.read(into: room, at: offset) }
            }
            if count == 0 { return try writer.finish(durability: durability) }
            offset += UInt64(count)
        }
    }

    /// Turns the error of a file into the engine's.
    func fileCall<Result>(_ body: () throws(IOError) -> Result) throws(ApusError) -> Result {
        do {
            return try body()
        } catch {
            throw ApusError(
                error.kind == .outOfSpace ? .outOfSpace : .io, error.description, file: error.path,
                systemCode: error.code)
        }
    }
}
