// Open files and held locks of the simulated disk. They belong to one start of the machine and are dead after it.

import ApusIO
import Synchronization

final class SimulatedFile: File {
    private let disk: SimulatedDisk
    private let node: Int
    private let generation: Int
    private let path: String
    private let isWritable: Bool
    private let isClosed = Atomic(false)

    init(disk: SimulatedDisk, node: Int, generation: Int, path: String, isWritable: Bool) {
        self.disk = disk
        self.node = node
        self.generation = generation
        self.path = path
        self.isWritable = isWritable
    }

    deinit { release() }

    /// Gives the handle back, once; after a crash there is nothing to give back.
    private func release() {
        if isClosed.exchange(true, ordering: .relaxed) { return }
        disk.state.withLock { state in
            if state.generation == generation { state.release(node) }
        }
    }

    private func perform<Result: Sendable>(
        _ kind: IOError.Operation,
        offset: UInt64 = 0,
        byteCount: UInt64 = 0,
        ignored: Result? = nil,
        _ body: (inout DiskState, Fault.Effect?) throws(IOError) -> Result
    ) throws(IOError) -> Result {
        let isMutation = kind != .read && kind != .status
        if isClosed.load(ordering: .relaxed) || isMutation && !isWritable && kind != .synchronize {
            throw IOError(kind, path: path, code: ErrorCode.badDescriptor)
        }
        return try disk.perform(
            kind,
            path,
            offset: offset,
            byteCount: byteCount,
            isMutation: isMutation,
            generation: generation,
            ignored: ignored,
            body
        )
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(IOError) -> Int {
        try perform(.read, offset: offset, byteCount: UInt64(buffer.count)) { state, effect throws(IOError) -> Int in
            guard let start = Self.start(offset, effect) else { return 0 }
            let count = state.files[node]?.read(into: buffer, at: start) ?? 0
            if case .flipBit = effect, count > 0 {
                buffer[state.generator.below(count)] ^= 1 << UInt8(state.generator.below(8))
            }
            return count
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(IOError) {
        try perform(.write, offset: offset, byteCount: UInt64(bytes.count), ignored: ()) {
            state,
            effect throws(IOError) in
            guard let start = Self.start(offset, effect) else {
                throw IOError(.write, path: path, code: ErrorCode.fileTooLarge)
            }
            if case .failHalfway(let code) = effect {
                let half = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)])
                state.files[node]?.write(half, at: start)
                throw IOError(.write, path: path, code: code, detail: "injected, half written")
            }
            let length = state.files[node]?.bytes.count ?? 0
            let room = state.room(for: start + bytes.count, now: length)
            let fitting = max(min(bytes.count, room - start), 0)
            state.files[node]?.write(UnsafeRawBufferPointer(rebasing: bytes[..<fitting]), at: start)
            if fitting < bytes.count { throw IOError(.write, path: path, code: ErrorCode.noSpace) }
            if case .flipBit = effect, !bytes.isEmpty {
                state.files[node]?.bytes[start + state.generator.below(bytes.count)] ^=
                    1 << UInt8(state.generator.below(8))
            }
        }
    }

    func synchronize() throws(IOError) {
        try perform(.synchronize, ignored: ()) { state, effect throws(IOError) in
            if case .failDroppingUnsynced(let code) = effect {
                state.files[node]?.dropUnsynced(&state.generator)
                throw IOError(.synchronize, path: path, code: code, detail: "injected")
            }
            state.files[node]?.synchronize()
        }
    }

    func allocate(_ byteCount: UInt64) throws(IOError) {
        try perform(.allocate, byteCount: byteCount, ignored: ()) { state, effect throws(IOError) in
            let length = state.files[node]?.bytes.count ?? 0
            var wanted = try Self.length(byteCount, .allocate, path)
            guard wanted > length else { return }
            if state.room(for: wanted, now: length) < wanted {
                throw IOError(.allocate, path: path, code: ErrorCode.noSpace)
            }
            if case .failHalfway = effect { wanted = length + (wanted - length) / 2 }
            state.files[node]?.extend(to: wanted)
            if case .failHalfway(let code) = effect {
                throw IOError(.allocate, path: path, code: code, detail: "injected, half allocated")
            }
        }
    }

    func truncate(to byteCount: UInt64) throws(IOError) {
        try perform(.truncate, byteCount: byteCount, ignored: ()) { state, _ throws(IOError) in
            let wanted = try Self.length(byteCount, .truncate, path)
            if state.room(for: wanted, now: state.files[node]?.bytes.count ?? 0) < wanted {
                throw IOError(.truncate, path: path, code: ErrorCode.noSpace)
            }
            state.files[node]?.truncate(to: wanted)
        }
    }

    func byteCount() throws(IOError) -> UInt64 {
        try perform(.status) { state, _ throws(IOError) -> UInt64 in
            UInt64(state.files[node]?.bytes.count ?? 0)
        }
    }

    func close() throws(IOError) {
        release()
    }

    /// Where a transfer lands; nil if no file reaches that far.
    private static func start(_ offset: UInt64, _ effect: Fault.Effect?) -> Int? {
        guard offset <= DiskState.maximumFileByteCount else { return nil }
        if case .misdirect(let distance) = effect { return max(Int(offset) + distance, 0) }
        return Int(offset)
    }

    private static func length(
        _ byteCount: UInt64,
        _ kind: IOError.Operation,
        _ path: String
    ) throws(IOError) -> Int {
        guard byteCount <= DiskState.maximumFileByteCount else {
            throw IOError(kind, path: path, code: ErrorCode.fileTooLarge)
        }
        return Int(byteCount)
    }
}

final class SimulatedLock: FileLock {
    private let disk: SimulatedDisk
    /// nil if nothing is held, because there was no file.
    private let node: Int?
    private let generation: Int
    private let isReleased = Atomic(false)

    init(disk: SimulatedDisk, node: Int?, generation: Int) {
        self.disk = disk
        self.node = node
        self.generation = generation
    }

    deinit { release() }

    func release() {
        if isReleased.exchange(true, ordering: .relaxed) { return }
        guard let node else { return }
        disk.state.withLock { state in
            if state.generation == generation { state.unlock(node) }
        }
    }
}

extension DiskState {
    /// Takes a lock; returns the locked file, or nil if a shared lock found none (see `FileSystem.lock`).
    mutating func lock(_ path: String, exclusive: Bool, holder: String) throws(IOError) -> Int? {
        guard let found = node(at: path) else {
            guard exclusive else { return nil }
            let node = createFile(at: try place(of: path, .lock))
            take(node, holder)
            return node
        }
        switch locks[found] {
        case nil where exclusive: take(found, holder)
        case nil: locks[found] = .shared(1)
        case .shared(let count) where !exclusive: locks[found] = .shared(count + 1)
        default:
            let text = String(decoding: files[found]?.bytes ?? [], as: UTF8.self)
            throw IOError(.lock, path: path, code: ErrorCode.locked, detail: text)
        }
        return found
    }

    private mutating func take(_ node: Int, _ holder: String) {
        locks[node] = .exclusive
        files[node]?.truncate(to: 0)
        var text = holder
        text.withUTF8 { files[node]?.write(UnsafeRawBufferPointer($0), at: 0) }
    }

    mutating func unlock(_ node: Int) {
        if case .shared(let count) = locks[node], count > 1 {
            locks[node] = .shared(count - 1)
        } else {
            locks[node] = nil
        }
    }
}
