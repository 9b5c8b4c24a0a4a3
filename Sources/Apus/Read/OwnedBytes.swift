// Bytes that a cursor keeps from one move to the next.

/// A growing buffer at a stable address, reused without allocating while what it holds fits.
///
/// Invariant of the unsafe part: `start` owns `capacity` bytes, of which the first `count` are initialised; while the
/// capacity is zero it owns nothing, and points nowhere.
struct OwnedBytes: ~Copyable {
    private var start: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var count = 0

    /// Allocates nothing before there is something to hold.
    init() {
        capacity = 0
        start = UnsafeMutableRawPointer(bitPattern: 8)!
    }

    init(_ bytes: [UInt8]) {
        self.init()
        bytes.withUnsafeBytes { assign($0) }
    }

    deinit { if capacity > 0 { start.deallocate() } }

    /// Valid until the next change.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    /// Replaces the content; `source` is no part of it.
    @inline(__always)
    mutating func assign(_ source: UnsafeRawBufferPointer) {
        if source.count > capacity { grow(to: source.count) }
        count = start.copyBytes(from: source)
    }

    @inline(never)
    private mutating func grow(to minimum: Int) {
        if capacity > 0 { start.deallocate() }
        capacity = max(minimum, 2 * capacity, 64)
        start = .allocate(byteCount: capacity, alignment: 8)
    }
}
