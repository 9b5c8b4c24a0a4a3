// Growing raw memory for the writing side: what an array of bytes would be, without its bounds and uniqueness checks
// on every append.

/// Owns its memory; not copyable. Appending beyond the capacity doubles it.
///
/// Invariant: `base` points to `capacity` bytes, the first `count` of which are initialised.
struct RawBuffer: ~Copyable {
    private(set) var base: UnsafeMutableRawPointer
    private(set) var count = 0
    private(set) var capacity: Int

    init(capacity: Int) {
        self.capacity = max(capacity, 64)
        base = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    /// A view that does not keep the buffer alive: take it of a stored buffer or a parameter, not of a local variable,
    /// which may be gone after its last mention.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    @inline(__always)
    mutating func reserve(_ additional: Int) {
        if count + additional > capacity { grow(to: count + additional) }
    }

    @inline(never)
    private mutating func grow(to needed: Int) {
        let larger = max(capacity * 2, needed)
        let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        moved.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = moved
        capacity = larger
    }

    /// Makes room for `byteCount` bytes at the end, which the caller fills through the result.
    @inline(__always)
    mutating func extend(_ byteCount: Int) -> UnsafeMutableRawPointer {
        reserve(byteCount)
        defer { count &+= byteCount }
        return base + count
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        extend(bytes.count).copyMemory(from: source, byteCount: bytes.count)
    }

    @inline(__always)
    mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
        extend(value.bitWidth / 8).storeBytes(of: value.littleEndian, as: type(of: value))
    }

    @inline(__always)
    mutating func appendVarint(_ value: UInt64) {
        reserve(10)
        var rest = value
        while rest >= 0x80 {
            base.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: count, as: UInt8.self)
            count &+= 1
            rest &>>= 7
        }
        base.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    /// Forgets the bytes from `newCount` on; memory that one huge entry has made large is given back.
    mutating func truncate(to newCount: Int) {
        precondition(newCount <= count)
        count = newCount
        if newCount == 0 && capacity > 8 << 20 {
            base.deallocate()
            capacity = 64 << 10
            base = .allocate(byteCount: capacity, alignment: 16)
        }
    }
}
