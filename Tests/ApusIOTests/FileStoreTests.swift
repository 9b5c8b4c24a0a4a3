// Storing into a file through a mapped window: the same bytes in the same places as writing, wherever windows begin and
// end, also across syncs, and a plain write where nothing can be mapped, or not any more.

import Testing

@testable import ApusIO

@Suite struct FileStoreTests {
    private func bytes(_ count: Int, _ seed: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed) }
    }

    private func store(_ bytes: [UInt8], in file: any File, at offset: Int) throws {
        let outcome: Result<Void, IOError> = bytes.withUnsafeBytes { bytes in
            do throws(IOError) {
                return .success(try file.store(bytes, at: UInt64(offset)))
            } catch {
                return .failure(error)
            }
        }
        try outcome.get()
    }

    private func content(of file: any File) throws -> [UInt8] {
        let count = Int(try file.byteCount())
        return try [UInt8](unsafeUninitializedCapacity: count) { buffer, read in
            read = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
        }
    }

    /// Pieces from one byte to more than a window, one behind the other, with writes and syncs in between.
    @Test(arguments: [0, 4096, 100_000, 3 * MappedWindow.byteCount])
    func storesAndWritesMix(_ allocated: Int) throws {
        let directory = try TemporaryDirectory()
        let fileSystem = POSIXFileSystem()
        let path = directory.path + "/log"
        let file = try fileSystem.open(path, .create)
        defer { try? file.close() }
        try file.allocate(UInt64(allocated))
        var expected: [UInt8] = []
        for (number, count) in [
            1, 7, 150, 4_000, 4_096, 100, 65_536, 131_073, 150, 300_000, 1, 250_000, 40, 131_072, 131_072, 9,
        ].enumerated() {
            let piece = bytes(count, number)
            if number % 5 == 3 {
                try piece.withUnsafeBytesThrowing { try file.write($0, at: UInt64(expected.count)) }
            } else {
                try store(piece, in: file, at: expected.count)
            }
            expected += piece
            if number % 4 == 2 { try file.synchronize() }
            #expect(try content(of: file).prefix(expected.count) == expected[...])
        }
        #expect(try content(of: file).count == max(allocated, expected.count))
    }

    @Test func whatIsStoredIsSeenThroughOtherHandles() throws {
        let directory = try TemporaryDirectory()
        let fileSystem = POSIXFileSystem()
        let path = directory.path + "/log"
        let file = try fileSystem.open(path, .create)
        try file.allocate(1 << 20)
        let other = try fileSystem.open(path, .read)
        for number in 0..<5_000 {
            try store(bytes(150, number), in: file, at: number * 150)
        }
        #expect(Array(try content(of: other)[(4_999 * 150)..<(5_000 * 150)]) == bytes(150, 4_999))
        try file.close()
        #expect(Array(try content(of: other)[..<150]) == bytes(150, 0))
        #expect(throws: IOError.self) { try store(bytes(1, 1), in: file, at: 0) }
        try other.close()
    }

    @Test func aFileOpenForReadingIsNotStoredInto() throws {
        let directory = try TemporaryDirectory()
        let fileSystem = POSIXFileSystem()
        let path = directory.path + "/log"
        let file = try fileSystem.open(path, .create)
        try file.allocate(1 << 20)
        try file.close()
        let reader = try fileSystem.open(path, .read)
        #expect(throws: IOError.self) { try store(bytes(10, 1), in: reader, at: 0) }
        #expect(try content(of: reader).allSatisfy { $0 == 0 })
        try reader.close()
    }

    /// Somebody cuts the file while it is being stored into: pages that were there before a sync cannot be had again after
    /// it. Nothing of what is stored from then on may be missing, before the cut and behind it.
    @Test(arguments: [0, 1, 4096, 70_000, 300_001], [1, 90_000])
    func whatCannotBeMappedAnyMoreIsWritten(_ cut: Int, _ first: Int) throws {
        let directory = try TemporaryDirectory()
        let fileSystem = POSIXFileSystem()
        let path = directory.path + "/log"
        let file = try fileSystem.open(path, .create)
        defer { try? file.close() }
        try file.allocate(1 << 20)
        var expected = bytes(first, 1)
        try store(expected, in: file, at: 0)
        let other = try fileSystem.open(path, .update)
        try other.truncate(to: UInt64(cut))
        try other.close()
        let kept = min(cut, expected.count)
        expected.replaceSubrange(kept..., with: [UInt8](repeating: 0, count: expected.count - kept))
        for number in 2..<60 {
            // The window is made ready again only after a sync; without one nobody may cut.
            if number % 7 == 2 { try file.synchronize() }
            let piece = bytes(number * 211, number)
            try store(piece, in: file, at: expected.count)
            expected += piece
        }
        #expect(expected.count > 350_000)
        #expect(try content(of: file).prefix(expected.count) == expected[...])
        try file.synchronize()
        try file.close()
        let again = try fileSystem.open(path, .read)
        defer { try? again.close() }
        #expect(try content(of: again).prefix(expected.count) == expected[...])
    }

    /// A descriptor that may write and not read can be written to, but no page of it can be mapped.
    @Test func whereTheSystemRefusesAMappingBytesAreWritten() throws {
        let directory = try TemporaryDirectory()
        let fileSystem = POSIXFileSystem()
        let path = directory.path + "/log"
        let empty = try fileSystem.open(path, .create)
        try empty.allocate(1 << 20)
        try empty.close()
        let descriptor = try Syscalls.open(path, 1)  // O_WRONLY
        try #require(MappedWindow(descriptor, at: 0, fileByteCount: 1 << 20) == nil)
        let file = POSIXFile(adopting: descriptor, path: path)
        var expected: [UInt8] = []
        for number in 1..<40 {
            let piece = bytes(number * 100, number)
            try store(piece, in: file, at: expected.count)
            expected += piece
            if number % 9 == 0 { try file.synchronize() }
        }
        try file.close()
        let reader = try fileSystem.open(path, .read)
        defer { try? reader.close() }
        let found = try content(of: reader)
        #expect(found.count == 1 << 20 && found.prefix(expected.count) == expected[...])
    }

    #if os(Linux)
    @Test func windowsMoveAndCountTheirBounds() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/log"
        let descriptor = try Syscalls.open(path, 0o102)  // O_RDWR | O_CREAT
        defer { try? Syscalls.close(descriptor, path: path) }
        try Syscalls.allocate(descriptor, from: 0, to: 2 << 20, path: path)
        // Where the temporary directory's file system cannot be mapped reliably, `store` writes: nothing to see here.
        try #require(MappedWindow.isReliable(descriptor))
        let window = try #require(
            MappedWindow(descriptor, at: 5_000, fileByteCount: 2 << 20, ready: MappedWindow.byteCount))
        #expect(window.contains(4_096, 1))
        #expect(!window.contains(4_095, 1))
        #expect(window.contains(4_096, MappedWindow.byteCount))
        #expect(!window.contains(4_097, MappedWindow.byteCount))
        #expect(window.isReady(from: 5_000) && !window.isReady(from: 4_000))
        // Only some of it is made ready again: what follows is asked for when it is needed.
        #expect(window.prepare(from: 5_000))
        #expect(window.contains(5_000, MappedWindow.pieceByteCount - 4_096) && !window.isReady(from: 5_000))
        #expect(!window.contains(5_000, 2 * MappedWindow.pieceByteCount))
        let last = try #require(MappedWindow(descriptor, at: (1 << 20) - 10, fileByteCount: 1 << 20))
        #expect(last.contains((1 << 20) - 10, 10))
        #expect(!last.contains((1 << 20) - 10, 11))
        #expect(MappedWindow(descriptor, at: 1 << 20, fileByteCount: 1 << 20) == nil)
    }
    #endif
}

extension [UInt8] {
    fileprivate func withUnsafeBytesThrowing(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        try withUnsafeBytes { try body($0) }
    }
}
