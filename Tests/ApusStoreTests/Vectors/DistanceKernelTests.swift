// Every kernel that this processor can run, against plain loops: all small dimensions, and rows at odd addresses.

import Testing

@testable import ApusStore

@Suite struct DistanceKernelTests {
    /// Room for the largest dimension, at every alignment.
    static let capacity = 600

    @Test(arguments: DistanceKernels.all.map(\.name))
    func floatKernelsEqualPlainLoops(name: String) throws {
        let kernels = try #require(DistanceKernels.all.first { $0.name == name })
        var random = VectorRandom(seed: 11)
        let a = random.floats(Self.capacity)
        let b = random.floats(Self.capacity)
        for count in Array(0...70) + [128, 383, 384, 511] {
            for offset in 0..<4 {
                var dot = 0.0
                var squares = 0.0
                var magnitude = 1.0
                for index in 0..<count {
                    let x = Double(a[index + offset])
                    let y = Double(b[index + 3 - offset])
                    dot += x * y
                    squares += (x - y) * (x - y)
                    magnitude += abs(x * y)
                }
                let (gotDot, gotSquares) = a.withUnsafeBufferPointer { a in
                    b.withUnsafeBufferPointer { b in
                        let x = a.baseAddress! + offset
                        let y = b.baseAddress! + 3 - offset
                        return (kernels.dot(x, y, count), kernels.squaredDistance(x, y, count))
                    }
                }
                #expect(abs(Double(gotDot) - dot) <= 1e-6 * magnitude, "dot of \(count) at \(offset)")
                #expect(abs(Double(gotSquares) - squares) <= 1e-6 * (1 + squares), "l2 of \(count) at \(offset)")
            }
        }
    }

    @Test(arguments: DistanceKernels.all.map(\.name))
    func integerKernelsEqualPlainLoops(name: String) throws {
        let kernels = try #require(DistanceKernels.all.first { $0.name == name })
        var random = VectorRandom(seed: 12)
        let query = (0..<Self.capacity).map { _ in Int16(truncatingIfNeeded: random.next()) }
        let rows = (0..<8 * Self.capacity).map { _ in Int8(truncatingIfNeeded: Int(random.below(255)) - 127) }
        for count in Array(0...70) + [128, 384, 511] {
            for offset in 0..<3 {
                for rowCount in [0, 1, 5, 7] {
                    let stride = count + offset
                    let expected = (0..<rowCount).map { row in
                        (0..<count).reduce(Int32(0)) {
                            $0 &+ Int32(query[offset + $1]) &* Int32(rows[row * stride + offset + $1])
                        }
                    }
                    let (gathered, adjacent) = Self.dots(
                        kernels, query, rows, count: count, stride: stride, offset: offset, rowCount: rowCount)
                    #expect(gathered == expected, "\(rowCount) rows of \(count) at \(offset)")
                    #expect(adjacent == expected, "\(rowCount) adjacent rows of \(count) at \(offset)")
                }
            }
        }
    }

    private static func dots(
        _ kernels: DistanceKernels, _ query: [Int16], _ rows: [Int8], count: Int, stride: Int, offset: Int,
        rowCount: Int
    ) -> (gathered: [Int32], adjacent: [Int32]) {
        var gathered = [Int32](repeating: -1, count: rowCount)
        var adjacent = gathered
        query.withUnsafeBufferPointer { query in
            rows.withUnsafeBufferPointer { rows in
                let first = rows.baseAddress! + offset
                var pointers: [UnsafePointer<Int8>?] = (0..<rowCount).map { first + $0 * stride }
                pointers.append(nil)
                kernels.dots(query.baseAddress! + offset, pointers, rowCount, count, &gathered)
                kernels.adjacentDots(query.baseAddress! + offset, first, stride, rowCount, count, &adjacent)
            }
        }
        return (gathered, adjacent)
    }

    @Test func largestProductsDoNotOverflow() {
        // A query's elements are limited so that this holds; see QueryCode.
        for dimension in [1, 384, 8192] {
            let vector = [Float](repeating: 1, count: dimension)
            let query = vector.withUnsafeBufferPointer { QueryCode($0) }
            let codes = [Int8](repeating: 127, count: dimension)
            let expected = query.elements.prefix(dimension).reduce(0) { $0 + Int($1) * 127 }
            for kernels in DistanceKernels.all {
                var result: Int32 = 0
                kernels.adjacentDots(query.elements, codes, dimension, 1, dimension, &result)
                #expect(Int(result) == expected, "\(kernels.name), \(dimension)")
            }
        }
    }

    @Test func halvesAreThoseOfTheStandard() {
        // All 65,536 of them there and back, except that a NaN may come back as another NaN.
        for bits in UInt16.min...UInt16.max {
            let value = HalfFloat.widened(bits)
            let back = HalfFloat.bits(value)
            #expect(value.isNaN ? HalfFloat.widened(back).isNaN : back == bits)
        }
        #expect(HalfFloat.bits(1) == 0x3C00 && HalfFloat.bits(-2) == 0xC000)
        #expect(HalfFloat.bits(65_504) == 0x7BFF && HalfFloat.bits(65_520) == 0x7C00)
        #expect(HalfFloat.bits(65_519.9) == 0x7BFF, "rounds down below the middle")
        #expect(HalfFloat.bits(1 + 1 / 2048) == 0x3C00, "a tie goes to the even one")
        #expect(HalfFloat.bits(1 + 3 / 2048) == 0x3C02, "a tie goes to the even one")
        #expect(HalfFloat.bits(0x1p-25) == 0, "half of the smallest goes to zero")
        #expect(HalfFloat.bits(0x1.8p-25) == 1)
    }

    @Test func wideningKernelsAgree() {
        let halves = Array(UInt16.min...UInt16.max).filter { !HalfFloat.widened($0).isNaN }
        for kernels in DistanceKernels.all {
            var floats = [Float](repeating: -1, count: halves.count)
            kernels.widen(halves, &floats, halves.count)
            #expect(zip(halves, floats).allSatisfy { HalfFloat.widened($0) == $1 }, "\(kernels.name)")
            for count in 0...20 {
                var few = [Float](repeating: -1, count: 21)
                kernels.widen(halves, &few, count)
                #expect(few[count] == -1, "\(kernels.name) writes beyond \(count)")
            }
        }
    }
}
