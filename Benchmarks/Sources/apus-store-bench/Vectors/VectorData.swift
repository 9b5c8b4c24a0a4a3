// Vectors from real text, as make-vectors.py writes them: what is stored, what is searched for, and what takes the place
// of what is stored.

import Glibc

struct VectorData {
    static let dimension = 384
    static var folder: String { getenv("VECTOR_DATA").map { String(cString: $0) } ?? ".vectors" }

    /// How many are stored.
    let count: Int
    /// Those and as many others as there are, up to one in twenty: the numbers from `count` on.
    let totalCount: Int
    private let floats: [Float]
    let queries: [[Float]]

    /// The first `count` vectors, or as many as there are.
    init(count: Int) throws {
        var floats: [Float] = []
        let base = try Self.read("base.f32", limit: count + count / 20, into: &floats)
        self.count = min(count, base)
        // The rest is from other texts: what few of them tell is told by real ones all the same.
        if base < count + count / 20 {
            _ = try? Self.read("rest.f32", limit: self.count + self.count / 20 - base, into: &floats)
        }
        totalCount = floats.count / Self.dimension
        self.floats = floats
        var flat: [Float] = []
        let queryCount = try Self.read("query.f32", limit: .max, into: &flat)
        queries = (0..<queryCount).map { Array(flat[$0 * Self.dimension..<($0 + 1) * Self.dimension]) }
    }

    subscript(number: Int) -> [Float] {
        Array(floats[number * Self.dimension..<(number + 1) * Self.dimension])
    }

    /// Appends the first vectors of a file; returns how many.
    private static func read(_ name: String, limit: Int, into floats: inout [Float]) throws -> Int {
        guard let file = fopen("\(folder)/\(name)", "r") else {
            throw BenchFailure("no \(folder)/\(name): make-vectors.py makes it; VECTOR_DATA names another folder")
        }
        defer { fclose(file) }
        fseek(file, 0, SEEK_END)
        let vectors = max(0, min(ftell(file) / (4 * dimension), limit))
        rewind(file)
        floats += [Float](unsafeUninitializedCapacity: vectors * dimension) { buffer, count in
            count = fread(buffer.baseAddress, 4, vectors * dimension, file)
        }
        return vectors
    }

    /// The ten nearest of each query among those vectors, by plain comparison: minutes for a million, so that the result
    /// is kept beside the vectors. `steps` says how often one has taken another's place.
    func nearest(among numbers: [Int], steps: Int = 0) -> [Set<Int>] {
        let path = "\(Self.folder)/nearest-\(count)-\(steps).i32"
        var kept = [Int32](repeating: 0, count: 10 * queries.count)
        if let file = fopen(path, "r") {
            defer { fclose(file) }
            if fread(&kept, 40, queries.count, file) == queries.count {
                return queries.indices.map { query in Set((0..<10).map { Int(kept[10 * query + $0]) }) }
            }
        }
        let nearest = compare(numbers)
        if let file = fopen(path, "w") {
            kept = nearest.flatMap { $0.map(Int32.init) }
            fwrite(kept, 40, queries.count, file)
            fclose(file)
        }
        return nearest
    }

    private func compare(_ numbers: [Int]) -> [Set<Int>] {
        var nearest = [[(product: Float, number: Int)]](repeating: [], count: queries.count)
        // A few at a time, so that they stay in the processor's cache for all queries.
        for start in stride(from: 0, to: numbers.count, by: 256) {
            let block = numbers[start..<min(start + 256, numbers.count)]
            for (index, query) in queries.enumerated() {
                for number in block {
                    let product = Self.product(floats, number * Self.dimension, query)
                    if nearest[index].count == 10, product <= nearest[index][9].product { continue }
                    let place = nearest[index].firstIndex { $0.product < product } ?? nearest[index].count
                    nearest[index].insert((product, number), at: place)
                    if nearest[index].count > 10 { nearest[index].removeLast() }
                }
            }
        }
        return nearest.map { Set($0.map(\.number)) }
    }

    @inline(__always)
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

/// Which vectors are stored while others keep taking their place: as vector-peers.py has it, so that both hold the same.
struct VectorTurnover {
    /// The numbers of those stored, in no order.
    private(set) var held: [Int]
    /// Those to come; what leaves comes again last.
    private var waiting: [Int]
    private var first = 0
    private var place = 0
    private(set) var steps = 0

    init(_ data: VectorData) {
        held = Array(0..<data.count)
        waiting = Array(data.count..<data.totalCount)
    }

    /// The next to leave, and what comes instead.
    mutating func next() -> (leaving: Int, coming: Int) {
        steps += 1
        place = (place + 7919) % held.count
        let change = (leaving: held[place], coming: waiting[first])
        held[place] = change.coming
        waiting[first] = change.leaving
        first = (first + 1) % waiting.count
        return change
    }
}

/// Processor time of the calling thread, or of the whole process: what else the machine does is not in it.
func processorSeconds(ofThread: Bool) -> Double {
    var time = timespec()
    clock_gettime(ofThread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Bytes of memory that belong to the process alone, files not counted.
func residentByteCount() -> Int {
    guard let file = fopen("/proc/self/status", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, 256, file) != nil {
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if text.hasPrefix("RssAnon:") { return 1024 * (Int(text.filter(\.isNumber)) ?? 0) }
    }
    return 0
}
