// The store's reader and writer of bytes: what is written is read, and what is cut short is refused.

import Testing

@testable import ApusStore

@Suite struct StoreBytesTests {
    @Test(arguments: [0, 1, 127, 128, 16_383, 16_384, 1 << 35, .max] as [UInt64])
    func varintsComeBackAndNoPartOfThemDoes(value: UInt64) {
        var bytes: [UInt8] = []
        bytes.appendVarint(value)
        for count in 0...bytes.count {
            bytes.withUnsafeBytes { all in
                var reader = StoreByteReader(UnsafeRawBufferPointer(rebasing: all[..<count]))
                let read = reader.varint()
                #expect(read == (count == bytes.count ? value : nil))
                #expect(reader.isAtEnd == (count == bytes.count))
            }
        }
    }

    @Test func overlongVarintsAreRefused() {
        for last in [2, 0x80] as [UInt8] {
            let bytes = [UInt8](repeating: 0xFF, count: 9) + [last, 0]
            let read = bytes.withUnsafeBytes { bytes in
                var reader = StoreByteReader(bytes)
                return reader.varint()
            }
            #expect(read == nil)
        }
    }

    @Test func fieldsComeBackInOrder() {
        var bytes: [UInt8] = [7]
        bytes.appendLittleEndian(UInt32(0x0102_0304))
        bytes.appendBigEndian(UInt16(0x0506))
        bytes.appendVarint(3)
        bytes += [8, 9, 10]
        #expect(bytes == [7, 4, 3, 2, 1, 5, 6, 3, 8, 9, 10])
        bytes.withUnsafeBytes { bytes in
            var reader = StoreByteReader(bytes)
            #expect(reader.byte() == 7)
            #expect(reader.littleEndian(UInt32.self) == 0x0102_0304)
            #expect(reader.bytes(2) == [5, 6])
            #expect(!reader.isAtEnd && reader.remainingByteCount == 4)
            #expect(reader.lengthPrefixed() == [8, 9, 10])
            #expect(reader.isAtEnd)
            #expect(reader.byte() == nil)
            #expect(!reader.isAtEnd)
        }
    }
}
