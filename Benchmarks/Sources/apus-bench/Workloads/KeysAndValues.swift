// The data: keys as in db_bench, 16 decimal digits with leading zeros, and values that compress to about half.

/// Room for one key, rewritten for every operation.
final class KeyBuffer {
    static let byteCount = 16

    private let bytes: UnsafeMutableRawBufferPointer

    init() {
        bytes = .allocate(byteCount: Self.byteCount + 8, alignment: 8)
        // The byte after the digits, used by keys that no fill puts: lower than every digit, as in db_bench.
        bytes.initializeMemory(as: UInt8.self, repeating: UInt8(ascii: "."))
    }

    deinit { bytes.deallocate() }

    @inline(__always)
    func set(_ index: Int) -> UnsafeRawBufferPointer {
        Self.write(index, to: bytes.baseAddress.unsafelyUnwrapped)
        return UnsafeRawBufferPointer(start: bytes.baseAddress, count: Self.byteCount)
    }

    /// A key right after `index` that no fill puts: a get of it misses, until YCSB inserts it.
    @inline(__always)
    func set(after index: Int) -> UnsafeRawBufferPointer {
        Self.write(index, to: bytes.baseAddress.unsafelyUnwrapped)
        return UnsafeRawBufferPointer(start: bytes.baseAddress, count: Self.byteCount + 1)
    }

    @inline(__always)
    static func write(_ index: Int, to target: UnsafeMutableRawPointer) {
        let (high, low) = UInt64(index).quotientAndRemainder(dividingBy: 100_000_000)
        target.storeBytes(of: eightDigits(high).littleEndian, as: UInt64.self)
        target.storeBytes(of: eightDigits(low).littleEndian, toByteOffset: 8, as: UInt64.self)
    }

    static func index(of key: UnsafeRawBufferPointer) -> Int {
        key.prefix(byteCount).reduce(0) { $0 * 10 + Int($1) - Int(UInt8(ascii: "0")) }
    }

    /// Eight decimal digits of a number below 10^8, the first one in the lowest byte: halves, then quarters, then
    /// eighths are divided side by side in one word.
    @inline(__always)
    private static func eightDigits(_ number: UInt64) -> UInt64 {
        let halves = number / 10_000 | (number % 10_000) &<< 32
        let hundreds = ((halves &* 10_486) &>> 20) & 0x0000_007F_0000_007F
        let quarters = hundreds | (halves &- 100 &* hundreds) &<< 16
        let tens = ((quarters &* 103) &>> 10) & 0x000F_000F_000F_000F
        return (tens | (quarters &- 10 &* tens) &<< 8) | 0x3030_3030_3030_3030
    }
}

/// Values are windows that slide over 1 MiB (or one value, if that is more) of text whose every 100 bytes are 50 random
/// ones, twice: db_bench's generator at compression ratio 0.5.
final class ValuePool {
    private let bytes: UnsafeMutableRawBufferPointer
    private let valueByteCount: Int

    init(valueByteCount: Int, seed: UInt64) {
        self.valueByteCount = valueByteCount
        bytes = .allocate(byteCount: max(1 << 20, valueByteCount), alignment: 64)
        var random = RandomSource(seed: seed)
        for start in stride(from: 0, to: bytes.count, by: 100) {
            let end = min(start + 100, bytes.count)
            for index in start..<min(start + 50, end) { bytes[index] = UInt8(32 + random.next(below: 95)) }
            if start + 50 < end {
                for index in start + 50..<end { bytes[index] = bytes[index - 50] }
            }
        }
    }

    deinit { bytes.deallocate() }

    /// The value after the one that ended at `position`.
    @inline(__always)
    func next(_ position: inout Int) -> UnsafeRawBufferPointer {
        if position + valueByteCount > bytes.count { position = 0 }
        let start = position
        position += valueByteCount
        return UnsafeRawBufferPointer(rebasing: bytes[start..<start + valueByteCount])
    }
}
