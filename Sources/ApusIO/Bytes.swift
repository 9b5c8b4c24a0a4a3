// Comparing byte strings: the one ordering of the engine (unsigned, shorter first when one is a prefix).

#if canImport(Darwin)
public import Darwin
#elseif canImport(Glibc)
public import Glibc
#elseif canImport(Musl)
public import Musl
#endif

/// Negative, zero or positive as `a` sorts before, equal to or after `b` by unsigned bytes.
@inlinable
public func compareBytes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
    let common = min(a.count, b.count)
    if common > 0 {
        let order = memcmp(a.baseAddress!, b.baseAddress!, common)
        if order != 0 { return Int(order) }
    }
    return a.count &- b.count
}

/// True if both hold the same bytes.
@inlinable
public func equalBytes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count, let first = a.baseAddress, let second = b.baseAddress else { return a.count == b.count }
    guard a.count > 0 else { return true }
    // Neighbours in an order tend to differ at their ends, so most comparisons are over with one byte.
    let last = a.count &- 1
    return first.load(fromByteOffset: last, as: UInt8.self) == second.load(fromByteOffset: last, as: UInt8.self)
        && memcmp(first, second, last) == 0
}
