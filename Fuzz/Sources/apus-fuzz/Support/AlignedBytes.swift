// Bytes in memory of their own, as a block has them when it is searched: aligned, with 8 readable bytes behind them.

struct AlignedBytes: ~Copyable {
    private let memory: UnsafeMutableRawBufferPointer
    let count: Int

    init(_ bytes: some Collection<UInt8>) {
        count = bytes.count
        memory = .allocate(byteCount: bytes.count + 8, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        memory.copyBytes(from: bytes)
    }

    deinit { memory.deallocate() }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        body(UnsafeRawBufferPointer(rebasing: memory[..<count]))
    }
}
