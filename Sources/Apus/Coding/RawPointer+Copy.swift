// Copying short byte strings, which keys and their parts are: a call of memmove costs more than the copy.

extension UnsafeMutableRawPointer {
    /// Copies all of `source` here and returns how many bytes that were. The two may overlap.
    @discardableResult @inline(__always)
    func copyBytes(from source: UnsafeRawBufferPointer) -> Int {
        guard let base = source.baseAddress else { return 0 }
        let count = source.count
        if count >= 8 && count <= 16 {
            // Two words, which overlap unless there are 16 bytes; both are read before one is written.
            let first = base.loadUnaligned(as: UInt64.self)
            let last = base.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
            storeBytes(of: first, as: UInt64.self)
            storeBytes(of: last, toByteOffset: count &- 8, as: UInt64.self)
        } else {
            copyMemory(from: base, byteCount: count)
        }
        return count
    }
}
