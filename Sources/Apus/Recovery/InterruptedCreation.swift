// Telling what an interrupted creation left from what belongs to somebody else, before anything is written: leftovers
// are removed without asking, so a name alone proves nothing. FORMAT.md §6.1
//
// Until CURRENT is there, a creation has written nothing but zeros into a log and nothing but a snapshot without data
// into a manifest. A crash may garble even these; then the directory is refused, and a person has to look.

import ApusIO

/// What a file is in a directory without CURRENT.
struct InterruptedCreation {
    enum Finding {
        /// What a creation writes before CURRENT: nobody misses it.
        case leftover
        /// A database had it.
        case data
        /// Only the name is one of ours.
        case foreign
    }

    let directory: String
    let fileSystem: any FileSystem

    /// How `currentProcessDescription` begins.
    private static let holderPrefix = "process "
    private static let pieceByteCount = 64 << 10

    func finding(_ file: FileName) throws(ApusError) -> Finding {
        switch file {
        case .current, .table, .blob: return .data
        case .lock: return try lock()
        case .temporaryCurrent: return try currentBeingWritten()
        case .log(let number):
            guard number <= 2 else { return .data }
            return try log(file)
        case .manifest(let number):
            guard number <= 2 else { return .data }
            return try manifest(file)
        }
    }

    /// A lock file holds a holder's name, or nothing, or the zeros that a crash leaves of it.
    private func lock() throws(ApusError) -> Finding {
        guard try isFile(.lock), let bytes = try start(of: .lock, 512),
            bytes.allSatisfy({ $0 == 0 }) || bytes.starts(with: Self.holderPrefix.utf8)
        else { return .foreign }
        return .leftover
    }

    private func currentBeingWritten() throws(ApusError) -> Finding {
        guard try isFile(.temporaryCurrent),
            let bytes = try start(of: .temporaryCurrent, CurrentFile.maximumByteCount + 1),
            bytes.count <= CurrentFile.maximumByteCount,
            bytes.allSatisfy({ $0 == 0 }) || bytes.starts(with: CurrentFile.magic.utf8)
        else { return .foreign }
        return .leftover
    }

    /// A log comes into use only after CURRENT is there.
    private func log(_ file: FileName) throws(ApusError) -> Finding {
        guard try isFile(file) else { return .foreign }
        let reader = try SegmentReader(file, in: directory, on: fileSystem)
        if try isZero(reader) { return .leftover }
        if case .none(_, isZero: false) = try reader.start(.log) {
            // With a damaged header the frames behind it may still be worth something, if it was a log at all.
            return try hasMagic(reader, .log) ? .data : .foreign
        }
        return .data
    }

    private func manifest(_ file: FileName) throws(ApusError) -> Finding {
        guard try isFile(file) else { return .foreign }
        let reader = try SegmentReader(file, in: directory, on: fileSystem)
        if try isZero(reader) { return .leftover }
        guard try hasMagic(reader, .manifest) else { return .foreign }
        return try tellsOfData(file) ? .data : .leftover
    }

    /// Whether a manifest lists anything that a new database does not have.
    private func tellsOfData(_ name: FileName) throws(ApusError) -> Bool {
        let unnamed = CurrentFile(manifest: name.number ?? 0, state: .open, manifestByteCount: 0, lastSequence: .zero)
        do throws(ApusError) {
            let content = try ManifestReader.read(unnamed, in: directory, on: fileSystem, mode: .salvage)
            return !content.state.keyspaces.isEmpty || content.state.nextFileNumber > 3
        } catch {
            guard error.kind == .corruption else { throw error }
            return false
        }
    }

    // MARK: - Bytes

    private func isFile(_ name: FileName) throws(ApusError) -> Bool {
        let status = try io { () throws(IOError) in try fileSystem.status(of: name.path(in: directory)) }
        return status?.isDirectory == false
    }

    private func isZero(_ reader: SegmentReader) throws(ApusError) -> Bool {
        var offset: UInt64 = 0
        while offset < reader.byteCount {
            let count = Int(min(UInt64(Self.pieceByteCount), reader.byteCount - offset))
            guard try reader.bytes(at: offset, count: count).allSatisfy({ $0 == 0 }) else { return false }
            offset += UInt64(count)
        }
        return true
    }

    private func hasMagic(_ reader: SegmentReader, _ purpose: SegmentHeader.Purpose) throws(ApusError) -> Bool {
        guard reader.byteCount >= 4 else { return false }
        return try reader.bytes(at: 0, count: 4).littleEndian(at: 0) == purpose.rawValue
    }

    /// Up to `limit` bytes from the front of a file; nil if it is gone.
    private func start(of name: FileName, _ limit: Int) throws(ApusError) -> [UInt8]? {
        let file: any File
        do { file = try fileSystem.open(name.path(in: directory), .read) } catch {
            if error.kind == .notFound { return nil }
            throw ApusError(error)
        }
        // Opened for reading only: closing cannot lose anything.
        defer { try? file.close() }
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = try io { () throws(IOError) in
            try bytes.withUnsafeMutableBufferPointer { (buffer) throws(IOError) in
                try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
            }
        }
        return Array(bytes[..<count])
    }
}
