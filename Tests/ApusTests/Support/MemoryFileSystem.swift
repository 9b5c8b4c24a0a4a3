// Files in memory, for tests that need no crashes: whatever is written is there.

import ApusIO
import Synchronization

@testable import Apus

final class MemoryFileSystem: FileSystem, Sendable {
    private let files = Monitor<[String: MemoryFile]>([:])
    private let opens = Atomic<Int>(0)
    /// Files open at the moment, over all paths.
    let openCount = Atomic<Int>(0)

    var totalOpens: Int { opens.load(ordering: .relaxed) }

    func open(_ path: String, _ mode: FileMode) throws(IOError) -> any File {
        opens.wrappingAdd(1, ordering: .relaxed)
        let file = files.withLock { files -> MemoryFile? in
            switch mode {
            case .create:
                guard files[path] == nil else { return nil }
                let file = MemoryFile(path: path)
                files[path] = file
                return file
            case .read, .update:
                return files[path]
            }
        }
        guard let file else { throw IOError(.open, path: path, code: mode == .create ? 17 : 2) }
        openCount.wrappingAdd(1, ordering: .relaxed)
        return MemoryHandle(file: file, system: self)
    }

    /// The bytes of a file; setting them replaces the content that open handles see, too.
    subscript(path: String) -> [UInt8]? {
        get { files.withLock { $0[path] }?.bytes.withLock { $0 } }
        set {
            files.withLock { files in
                guard let newValue else {
                    files[path] = nil
                    return
                }
                let file = files[path] ?? MemoryFile(path: path)
                file.bytes.withLock { $0 = newValue }
                files[path] = file
            }
        }
    }

    func createDirectory(_ path: String) throws(IOError) {}
    func list(_ directory: String) throws(IOError) -> [String] {
        let prefix = directory.isEmpty ? "" : directory + "/"
        return files.withLock { files in
            files.keys.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
        }
    }
    func status(of path: String) throws(IOError) -> FileStatus? {
        self[path].map { FileStatus(isDirectory: false, byteCount: UInt64($0.count)) }
    }
    func rename(_ path: String, to target: String) throws(IOError) {
        let found = files.withLock { files -> Bool in
            guard let file = files.removeValue(forKey: path) else { return false }
            files[target] = file
            return true
        }
        if !found { throw IOError(.rename, path: path, code: 2) }
    }
    func remove(_ path: String) throws(IOError) {
        let found = files.withLock { $0.removeValue(forKey: path) != nil }
        if !found { throw IOError(.remove, path: path, code: 2) }
    }
    func synchronizeDirectory(_ path: String) throws(IOError) {}
    func lock(_ path: String, exclusive: Bool, holder: String) throws(IOError) -> any FileLock { MemoryLock() }
}

private final class MemoryLock: FileLock {
    func release() {}
}

private final class MemoryFile: Sendable {
    let path: String
    let bytes = Monitor<[UInt8]>([])
    init(path: String) { self.path = path }
}

private final class MemoryHandle: File, Sendable {
    private let file: MemoryFile
    private let system: MemoryFileSystem

    init(file: MemoryFile, system: MemoryFileSystem) {
        self.file = file
        self.system = system
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(IOError) -> Int {
        let address = UInt(bitPattern: buffer.baseAddress)
        let wanted = buffer.count
        return file.bytes.withLock { bytes in
            guard offset < UInt64(bytes.count), let target = UnsafeMutableRawPointer(bitPattern: address) else {
                return 0
            }
            let count = min(wanted, bytes.count - Int(offset))
            bytes.withUnsafeBytes { target.copyMemory(from: $0.baseAddress! + Int(offset), byteCount: count) }
            return count
        }
    }

    func write(_ source: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError) {
        let copy = [UInt8](source)
        file.bytes.withLock { bytes in
            let end = Int(offset) + copy.count
            if bytes.count < end { bytes.append(contentsOf: repeatElement(0, count: end - bytes.count)) }
            bytes.replaceSubrange(Int(offset)..<end, with: copy)
        }
    }

    func synchronize() throws(IOError) {}
    func allocate(_ byteCount: UInt64) throws(IOError) {
        file.bytes.withLock { bytes in
            let missing = Int(byteCount) - bytes.count
            if missing > 0 { bytes.append(contentsOf: repeatElement(0, count: missing)) }
        }
    }
    func truncate(to byteCount: UInt64) throws(IOError) {
        file.bytes.withLock { $0.removeLast(max(0, $0.count - Int(byteCount))) }
    }
    func byteCount() throws(IOError) -> UInt64 { file.bytes.withLock { UInt64($0.count) } }
    func close() throws(IOError) { system.openCount.wrappingSubtract(1, ordering: .relaxed) }
}
