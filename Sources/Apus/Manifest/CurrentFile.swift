// CURRENT: which manifest is the live one, and how much of it is known to be durable.  FORMAT.md §6.1
//
//   apus-current 1
//   000000000017.manifest
//   open                        or: clean
//   1832                        bytes of the manifest that are durable; if clean, its exact end
//   90211                       last sequence number at that time
//   8f2c01aa                    CRC32C of the lines above, in hexadecimal
//
// The file is text so that a person can read it. It is never changed in place: a new one is written and synced under
// another name, and renamed. A reader accepts exactly what a writer writes, byte for byte.

import ApusIO

struct CurrentFile: Sendable, Hashable {
    enum State: String, Sendable {
        /// Opened for writing since: the manifest may have grown.
        case open
        /// Closed in order: nothing was written since.
        case clean
    }

    var manifest: FileNumber
    var state: State
    /// Bytes of the manifest known to be durable; if the state is clean, where it ends.
    var manifestByteCount: UInt64
    var lastSequence: SequenceNumber

    static let magic = "apus-current "
    private static let version = "1"
    /// More than any version 1 file can have.
    static let maximumByteCount = 256

    var encoded: [UInt8] {
        let text = """
            \(Self.magic)\(Self.version)
            \(FileName.manifest(manifest).string)
            \(state.rawValue)
            \(manifestByteCount)
            \(lastSequence.rawValue)

            """
        var bytes = Array(text.utf8)
        let checksum = bytes.withUnsafeBytes { CRC32C.checksum($0) }
        bytes.append(contentsOf: (Self.hexadecimal(checksum) + "\n").utf8)
        return bytes
    }

    /// Decodes the content of the file at `path`.
    init(decoding bytes: [UInt8], path: String) throws(ApusError) {
        let damaged = ApusError.corruption("CURRENT is damaged", file: path, offset: 0)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw damaged }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 3, lines[lines.count - 1].isEmpty, lines[0].hasPrefix(Self.magic) else { throw damaged }
        let checked = bytes.count - lines[lines.count - 2].utf8.count - 1
        let checksum = bytes.withUnsafeBytes { CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[..<checked])) }
        guard lines[lines.count - 2] == Self.hexadecimal(checksum) else { throw damaged }
        guard lines[0] == Self.magic + Self.version else {
            throw ApusError(.unsupportedFormat, "CURRENT has an unknown version: \(lines[0])", file: path, offset: 0)
        }
        guard lines.count == 7, case .manifest(let number)? = FileName(String(lines[1])),
            let state = State(rawValue: String(lines[2])), let byteCount = UInt64(lines[3]),
            let sequence = UInt64(lines[4]), sequence <= SequenceNumber.max.rawValue
        else { throw damaged }
        manifest = number
        self.state = state
        manifestByteCount = byteCount
        lastSequence = SequenceNumber(sequence)
        guard encoded == bytes else { throw damaged }
    }

    init(manifest: FileNumber, state: State, manifestByteCount: UInt64, lastSequence: SequenceNumber) {
        self.manifest = manifest
        self.state = state
        self.manifestByteCount = manifestByteCount
        self.lastSequence = lastSequence
    }

    private static func hexadecimal(_ value: UInt32) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 8 - text.utf8.count) + text
    }
}

extension CurrentFile {
    /// nil if there is no such file.
    static func read(in directory: String, on fileSystem: any FileSystem) throws(ApusError) -> CurrentFile? {
        let path = FileName.current.path(in: directory)
        let file: any File
        do { file = try fileSystem.open(path, .read) } catch {
            if error.kind == .notFound { return nil }
            throw ApusError(error)
        }
        // Opened for reading only: closing cannot lose anything.
        defer { try? file.close() }
        var bytes = [UInt8](repeating: 0, count: maximumByteCount)
        let count = try io { () throws(IOError) in
            try bytes.withUnsafeMutableBufferPointer { (buffer) throws(IOError) in
                try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
            }
        }
        return try CurrentFile(decoding: Array(bytes[..<count]), path: path)
    }

    /// Writes the file under its temporary name and makes it, and every name made before in the directory, durable:
    /// all that can be refused without harm.
    func stage(in directory: String, on fileSystem: any FileSystem) throws(IOError) {
        let path = Self.temporaryName.path(in: directory)
        if try fileSystem.status(of: path) != nil { try fileSystem.remove(path) }
        let file = try fileSystem.open(path, .create)
        do throws(IOError) {
            try file.write(encoded, at: 0)
            try file.synchronize()
        } catch {
            try? file.close()
            throw error
        }
        try file.close()
        try fileSystem.synchronizeDirectory(directory)
    }

    /// Puts the staged file in the place of the old one, durably. After a failure nobody knows which one holds.
    static func publish(in directory: String, on fileSystem: any FileSystem) throws(IOError) {
        try fileSystem.rename(temporaryName.path(in: directory), to: FileName.current.path(in: directory))
        try fileSystem.synchronizeDirectory(directory)
    }

    private static let temporaryName = FileName.temporaryCurrent
}
