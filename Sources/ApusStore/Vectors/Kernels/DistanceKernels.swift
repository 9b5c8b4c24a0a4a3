// Inner products and distances, by the best instructions that the processor has, chosen once. The portable forms are
// Swift SIMD with two accumulators of eight lanes: wider types spill, and at 32 lanes cost two hundred times as much.
//
// Integer kernels multiply a query of 16-bit integers with codes of 8 bits. A query with 16 bits adds no error worth
// naming to that of the codes, and the instructions that widen codes on the way cost less than fetching the codes.

import CApusCPU

/// The functions in use. All are correct for every length and alignment.
struct DistanceKernels: Sendable {
    typealias FloatPair = @convention(c) (UnsafePointer<Float>?, UnsafePointer<Float>?, Int) -> Float
    typealias Dots =
        @convention(c) (
            UnsafePointer<Int16>?, UnsafePointer<UnsafePointer<Int8>?>?, Int, Int, UnsafeMutablePointer<Int32>?
        ) -> Void
    typealias AdjacentDots =
        @convention(c) (
            UnsafePointer<Int16>?, UnsafePointer<Int8>?, Int, Int, Int, UnsafeMutablePointer<Int32>?
        ) -> Void
    typealias Widen = @convention(c) (UnsafePointer<UInt16>?, UnsafeMutablePointer<Float>?, Int) -> Void

    /// What a person calls the instructions.
    let name: String
    /// Σ a·b.
    let dot: FloatPair
    /// Σ (a − b)².
    let squaredDistance: FloatPair
    /// Query, pointers to rows, number of rows, dimension, results.
    let dots: Dots
    /// Query, first row, bytes from row to row, number of rows, dimension, results.
    let adjacentDots: AdjacentDots
    /// 16-bit floats, 32-bit floats, count.
    let widen: Widen

    /// What this processor does best.
    static let best = all.last!

    /// Everything this processor can do, the fastest last.
    static let all: [DistanceKernels] = {
        var kernels = [portable]
        #if arch(x86_64)
        let level = apus_vector_level()
        if level >= 1 {
            kernels.append(
                DistanceKernels(
                    name: "AVX2", dot: apus_dot_f32_avx2, squaredDistance: apus_l2_f32_avx2,
                    dots: apus_dots_i16_i8_avx2, adjacentDots: apus_dots_i16_i8_avx2_adjacent,
                    widen: apus_widen_f16_avx2))
        }
        if level == 2 {
            kernels.append(
                DistanceKernels(
                    name: "AVX-512 VNNI", dot: apus_dot_f32_avx2, squaredDistance: apus_l2_f32_avx2,
                    dots: apus_dots_i16_i8_avx512, adjacentDots: apus_dots_i16_i8_avx512_adjacent,
                    widen: apus_widen_f16_avx2))
        }
        if level == 3 {
            kernels.append(
                DistanceKernels(
                    name: "AVX-VNNI", dot: apus_dot_f32_avx2, squaredDistance: apus_l2_f32_avx2,
                    dots: apus_dots_i16_i8_avxvnni, adjacentDots: apus_dots_i16_i8_avxvnni_adjacent,
                    widen: apus_widen_f16_avx2))
        }
        #elseif arch(arm64)
        kernels.append(
            DistanceKernels(
                name: "NEON", dot: portable.dot, squaredDistance: portable.squaredDistance,
                dots: apus_dots_i16_i8_neon, adjacentDots: apus_dots_i16_i8_neon_adjacent, widen: portable.widen))
        #endif
        return kernels
    }()

    // MARK: Portable forms

    static let portable = DistanceKernels(
        name: "portable",
        dot: { portableSum($0!, $1!, $2) { a, b, sum in sum.addProduct(a, b) } },
        squaredDistance: { portableSum($0!, $1!, $2) { a, b, sum in sum.addProduct(a - b, a - b) } },
        dots: { query, rows, rowCount, count, results in
            for row in 0..<rowCount { results![row] = portableDot(query!, rows![row]!, count) }
        },
        adjacentDots: { query, rows, stride, rowCount, count, results in
            for row in 0..<rowCount { results![row] = portableDot(query!, rows! + row * stride, count) }
        },
        widen: { halves, floats, count in
            for index in 0..<count { floats![index] = HalfFloat.widened(halves![index]) }
        })

    /// Adds up `term` over the elements, sixteen at a time and then one at a time.
    @inline(__always)
    private static func portableSum(
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int,
        _ term: (SIMD8<Float>, SIMD8<Float>, inout SIMD8<Float>) -> Void
    ) -> Float {
        let rawA = UnsafeRawPointer(a)
        let rawB = UnsafeRawPointer(b)
        var even = SIMD8<Float>.zero
        var odd = SIMD8<Float>.zero
        var index = 0
        while index &+ 16 <= count {
            let byte = index &* 4
            term(
                rawA.loadUnaligned(fromByteOffset: byte, as: SIMD8<Float>.self),
                rawB.loadUnaligned(fromByteOffset: byte, as: SIMD8<Float>.self), &even)
            term(
                rawA.loadUnaligned(fromByteOffset: byte &+ 32, as: SIMD8<Float>.self),
                rawB.loadUnaligned(fromByteOffset: byte &+ 32, as: SIMD8<Float>.self), &odd)
            index &+= 16
        }
        var rest = SIMD8<Float>.zero
        while index < count {
            var restA = SIMD8<Float>.zero
            var restB = SIMD8<Float>.zero
            restA[0] = rawA.loadUnaligned(fromByteOffset: index &* 4, as: Float.self)
            restB[0] = rawB.loadUnaligned(fromByteOffset: index &* 4, as: Float.self)
            term(restA, restB, &rest)
            index &+= 1
        }
        return (even + odd).sum() + rest[0]
    }

    /// A plain loop: the optimiser turns it into the baseline's multiply-add of 16-bit integers, which `SIMD` types
    /// widen to in ways that cost more.
    private static func portableDot(_ query: UnsafePointer<Int16>, _ row: UnsafePointer<Int8>, _ count: Int) -> Int32 {
        var sum: Int32 = 0
        for index in 0..<count { sum &+= Int32(query[index]) &* Int32(row[index]) }
        return sum
    }
}

extension SIMD8<Float> {
    @inline(__always)
    mutating func addProduct(_ a: Self, _ b: Self) { self += a * b }
}
