// Vectors from real text, as make-vectors.py writes them: what is stored, and what is searched for.

import Glibc

struct VectorData {
    static let dimension = 384
    static var folder: String { getenv("VECTOR_DATA").map { String(cString: $0) } ?? ".vectors" }

    let count: Int
    private let base: [Float]
    let queries: [[Float]]

    /// The first `count` vectors, or as many as there are.
    init(count: Int) throws {
        base = try Self.floats("base.f32", limit: count)
        self.count = base.count / Self.dimension
        let flat = try Self.floats("query.f32", limit: .max)
        queries = (0..<flat.count / Self.dimension).map { Array(flat[$0 * Self.dimension..<($0 + 1) * Self.dimension]) }
    }

    /// Vectors beyond those that there are: real ones in which a tenth of another one is.
    subscript(number: Int) -> [Float] {
        let own = number % count * Self.dimension
        guard number >= count else { return Array(base[own..<own + Self.dimension]) }
        let other = (number &* 7919 + number / count) % count * Self.dimension
        return (0..<Self.dimension).map { base[own + $0] + 0.3 * base[other + $0] }
    }

    private static func floats(_ name: String, limit: Int) throws -> [Float] {
        guard let file = fopen("\(folder)/\(name)", "r") else {
            throw BenchFailure("no \(folder)/\(name): make-vectors.py makes it; VECTOR_DATA names another folder")
        }
        defer { fclose(file) }
        fseek(file, 0, SEEK_END)
        let vectors = min(ftell(file) / (4 * dimension), limit)
        rewind(file)
        return [Float](unsafeUninitializedCapacity: vectors * dimension) { buffer, count in
            count = fread(buffer.baseAddress, 4, vectors * dimension, file)
        }
    }

    /// The ten nearest of each of the first `limit` queries, by plain comparison.
    func nearest(_ limit: Int) -> [Set<Int>] {
        queries.prefix(limit).map { query in
            var best: [(product: Float, number: Int)] = []
            for number in 0..<count {
                let product = Self.product(base, number * Self.dimension, query)
                if best.count == 10, product <= best[9].product { continue }
                let place = best.firstIndex { $0.product < product } ?? best.count
                best.insert((product, number), at: place)
                if best.count > 10 { best.removeLast() }
            }
            return Set(best.map(\.number))
        }
    }

    private static func product(_ base: [Float], _ start: Int, _ query: [Float]) -> Float {
        base.withUnsafeBufferPointer { base in
            query.withUnsafeBufferPointer { query in
                var sums = (SIMD8<Float>.zero, SIMD8<Float>.zero)
                let a = UnsafeRawPointer(base.baseAddress! + start)
                let b = UnsafeRawPointer(query.baseAddress!)
                for byte in stride(from: 0, to: 4 * dimension, by: 64) {
                    sums.0 +=
                        a.loadUnaligned(fromByteOffset: byte, as: SIMD8<Float>.self)
                        * b.loadUnaligned(fromByteOffset: byte, as: SIMD8<Float>.self)
                    sums.1 +=
                        a.loadUnaligned(fromByteOffset: byte + 32, as: SIMD8<Float>.self)
                        * b.loadUnaligned(fromByteOffset: byte + 32, as: SIMD8<Float>.self)
                }
                return (sums.0 + sums.1).sum()
            }
        }
    }
}

/// Processor time of the calling thread, or of the whole process: what else the machine does is not in it.
func processorSeconds(ofThread: Bool) -> Double {
    var time = timespec()
    clock_gettime(ofThread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
