// Looking at and damaging a simulated disk from outside, as bit rot and careless hands do. These are not calls of the
// program under test: they are not counted, meet no faults, and what they leave of a file is durable.

import ApusIO

extension SimulatedDisk {
    /// The paths of all files, sorted.
    public var filePaths: [String] {
        state.withLock { state in
            state.names.paths.filter { state.files[$0.node] != nil }.map(\.path).sorted()
        }
    }

    /// What reads of the file would see; nil if there is no such file.
    public func contents(of path: String) -> [UInt8]? {
        state.withLock { state in
            state.node(at: path).flatMap { state.files[$0]?.bytes }
        }
    }

    /// Gives a file other contents, creating it where its directory exists. False if there is no such directory.
    @discardableResult
    public func replaceContents(of path: String, with bytes: [UInt8]) -> Bool {
        state.withLock { state in
            guard let place = try? state.place(of: path, .open) else { return false }
            let node = state.node(at: path) ?? state.createFile(at: place)
            guard state.files[node] != nil else { return false }
            state.names.settle(NameChange(directory: place.directory, name: place.name, node: node))
            state.files[node]?.settle()
            state.files[node]?.bytes = bytes
            return true
        }
    }

    /// Turns one bit of a file over. False if the file does not reach that far.
    @discardableResult
    public func flipBit(of path: String, at offset: UInt64, bit: Int = 0) -> Bool {
        damage(path) { content in
            guard offset < UInt64(content.bytes.count) else { return false }
            content.bytes[Int(offset)] ^= 1 << UInt8(bit & 7)
            return true
        }
    }

    /// Cuts a file. False if it is shorter.
    @discardableResult
    public func truncate(_ path: String, to byteCount: UInt64) -> Bool {
        damage(path) { content in
            guard byteCount <= UInt64(content.bytes.count) else { return false }
            content.bytes.removeLast(content.bytes.count - Int(byteCount))
            return true
        }
    }

    /// Removes a file for good. False if there is none.
    @discardableResult
    public func delete(_ path: String) -> Bool {
        state.withLock { state in
            guard let node = state.node(at: path), state.files[node] != nil,
                let place = try? state.place(of: path, .remove)
            else { return false }
            state.names.settle(NameChange(directory: place.directory, name: place.name, node: nil))
            return true
        }
    }

    private func damage(_ path: String, _ body: (inout FileContent) -> Bool) -> Bool {
        state.withLock { state in
            guard let node = state.node(at: path), var content = state.files.removeValue(forKey: node) else {
                return false
            }
            content.settle()
            let isDone = body(&content)
            state.files[node] = content
            return isDone
        }
    }
}
