// CRC32C against the RFC's vectors and a bit-by-bit definition, by every way of computing it.

import Testing

@testable import Apus

@Suite struct CRC32CTests {
    @Test func agreesWithPublishedVectors() {
        #expect(Array("123456789".utf8).withUnsafeBytes { CRC32C.checksum($0) } == 0xE306_9283)
        #expect([UInt8](repeating: 0, count: 32).withUnsafeBytes { CRC32C.checksum($0) } == 0x8A91_36AA)
        #expect([UInt8](repeating: 0xFF, count: 32).withUnsafeBytes { CRC32C.checksum($0) } == 0x62A8_AB43)
        #expect(CRC32C.checksum(UnsafeRawBufferPointer(start: nil, count: 0)) == 0)
    }

    @Test func lanesAndTablesAgreeWithOneBitAtATimeForEveryLength() {
        var random = TestRandom(seed: 1)
        let bytes = (0..<8200).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        var slow: UInt32 = 0xFFFF_FFFF
        bytes.withUnsafeBytes { all in
            for count in 0...all.count {
                if count == all.count || count < 1700 || count % 61 == 0 || (3070...3080).contains(count) {
                    let prefix = UnsafeRawBufferPointer(rebasing: all[..<count])
                    #expect(CRC32C.checksum(prefix) == ~slow, "length \(count)")
                    #expect(CRC32C.software(prefix) == ~slow, "length \(count), tables")
                }
                guard count < all.count else { break }
                slow ^= UInt32(all[count])
                for _ in 0..<8 { slow = slow & 1 == 0 ? slow >> 1 : slow >> 1 ^ 0x82F6_3B78 }
            }
        }
    }

    @Test func continuesFromAnyCutAtAnyAlignment() {
        var random = TestRandom(seed: 2)
        let bytes = (0..<20_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        bytes.withUnsafeBytes { all in
            for _ in 0..<300 {
                let start = random.below(9)
                let end = start + random.below(all.count - start)
                let cut = start + random.below(end - start + 1)
                let whole = CRC32C.software(UnsafeRawBufferPointer(rebasing: all[start..<end]))
                let first = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: all[start..<cut]))
                #expect(CRC32C.checksum(UnsafeRawBufferPointer(rebasing: all[cut..<end]), seed: first) == whole)
            }
        }
    }

    @Test func maskRotatesAndAdds() {
        #expect(CRC32C.mask(0) == 0xA282_EAD8)
        #expect(CRC32C.mask(0x0000_8000) == 0xA282_EAD9)
    }
}
