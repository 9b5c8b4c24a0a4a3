// An engine that stores nothing and answers at once: what it "achieves" is the cost of the loop itself (making keys,
// reading the clock, filling the histogram), which every other figure includes. Runs only when it is named.

final class NullAdapter: EngineAdapter {
    static let name = "loop"
    static let compression = "none"

    private let settings: EngineSettings
    let version = "0"

    static func describe(_ settings: EngineSettings) -> String {
        "stores nothing: measures the loop"
    }

    init(path: String, settings: EngineSettings) {
        self.settings = settings
    }

    func makeSession() -> NullSession {
        NullSession(settings)
    }

    func flush() {}
    func close() {}
}

final class NullSession: EngineSession {
    private let entries: Int
    private let value: UnsafeMutableRawBufferPointer
    private let key: UnsafeMutableRawBufferPointer
    private var position = 0
    private var hasInsertions = false

    init(_ settings: EngineSettings) {
        entries = settings.entries
        value = .allocate(byteCount: settings.valueByteCount, alignment: 8)
        key = .allocate(byteCount: KeyBuffer.byteCount, alignment: 8)
        value.initializeMemory(as: UInt8.self, repeating: 0)
        key.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        value.deallocate()
        key.deallocate()
    }

    func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        if key.count > KeyBuffer.byteCount { hasInsertions = true }
    }

    func delete(_ key: UnsafeRawBufferPointer) {}
    func deleteRange(from start: UnsafeRawBufferPointer, to end: UnsafeRawBufferPointer) {}
    func write(_ batch: EntryBatch) {}

    /// Keys that no fill puts are longer than the others: they are inserted before they are found.
    func get(_ key: UnsafeRawBufferPointer, _ visit: (UnsafeRawBufferPointer) -> Void) -> Bool {
        guard key.count == KeyBuffer.byteCount || hasInsertions else { return false }
        visit(UnsafeRawBufferPointer(value))
        return true
    }

    func getMany(_ keys: KeyBatch, _ visit: (UnsafeRawBufferPointer) -> Void) {
        for _ in 0..<keys.count { visit(UnsafeRawBufferPointer(value)) }
    }

    func openCursor(_ direction: ScanDirection) {}

    func seek(_ key: UnsafeRawBufferPointer) -> Bool {
        position = KeyBuffer.index(of: key)
        self.key.copyMemory(from: key)
        return true
    }

    func seekToStart() -> Bool {
        position = 0
        return true
    }

    func advance() -> Bool {
        position += 1
        return position < entries
    }

    func withEntry(_ visit: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void) {
        visit(UnsafeRawBufferPointer(key), UnsafeRawBufferPointer(value))
    }

    func closeCursor() {}
}
