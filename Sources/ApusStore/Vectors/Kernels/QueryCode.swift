// Quantisation: a vector as integers and a scale. Codes have 8 bits or fewer, one scale for each vector, so that the
// largest element is the largest code (scalar quantisation as in Jégou et al., "Product Quantization for Nearest
// Neighbor Search", TPAMI 2011, §II, with one level set per vector); queries have 16.

/// A vector in 8-bit codes.
struct VectorCode: Sendable, Equatable {
    /// Each in -127…127.
    var codes: [Int8]
    var scale: Float

    /// The codes of `vector`, each at most 127.
    ///
    /// Of codes that are not entropy-coded the finest are best: the largest element becomes ±127. What is to take few bits
    /// has steps of a fixed share of the root mean square instead, which for elements of any distribution is nearly the
    /// best that can be had for the bits (Gish and Pierce, "Asymptotically Efficient Quantizing", 1968).
    init(_ vector: UnsafeBufferPointer<Float>, _ element: VectorElement = .float32) {
        var largest: Float = 0
        var squares: Float = 0
        for element in vector {
            largest = max(largest, element.magnitude)
            squares += element * element
        }
        scale = largest / 127
        if let steps = element.stepsPerDeviation {
            scale = max(scale, (squares / Float(vector.count)).squareRoot() / steps)
        }
        // Of a vector so small that the reciprocal overflows, nothing is left; the error says so.
        let inverse = 1 / scale
        guard largest > 0, inverse.isFinite else {
            codes = [Int8](repeating: 0, count: vector.count)
            scale = 0
            return
        }
        codes = [Int8](unsafeUninitializedCapacity: vector.count) { buffer, count in
            for index in 0..<vector.count {
                let code = (vector[index] * inverse).rounded(.toNearestOrEven)
                buffer[index] = Int8(max(-127, min(127, code)))
            }
            count = vector.count
        }
    }

    init(codes: [Int8], scale: Float) {
        self.codes = codes
        self.scale = scale
    }

    /// The vector that the codes stand for.
    var decoded: [Float] { codes.map { Float($0) * scale } }

    /// The squared length of the decoded vector.
    var squaredNorm: Float {
        var sum = 0
        for code in codes { sum += Int(code) * Int(code) }
        return Float(sum) * scale * scale
    }

    /// The length of what was lost.
    func error(of vector: UnsafeBufferPointer<Float>) -> Float {
        var sum: Float = 0
        for index in 0..<codes.count {
            let difference = vector[index] - Float(codes[index]) * scale
            sum += difference * difference
        }
        return sum.squareRoot()
    }
}

/// A query in 16-bit integers.
struct QueryCode: Sendable {
    /// Padded with zeros to a multiple of 32.
    var elements: [Int16]
    /// What one unit of an element is worth.
    var scale: Float
    /// The length of the query, and of what was lost.
    var norm: Float
    var error: Float

    init(_ query: UnsafeBufferPointer<Float>) {
        let padded = (query.count + 31) / 32 * 32
        var largest: Float = 0
        for element in query { largest = max(largest, element.magnitude) }
        // Sums of products with codes must stay within 32 bits.
        let levels = Float(min(32_767, (1 << 31 - 1) / (127 * max(padded, 1))))
        let inverse = levels / largest
        let isZero = !(largest > 0 && inverse.isFinite)
        let unit = isZero ? 0 : largest / levels
        scale = unit
        var lost: Float = 0
        var squares: Float = 0
        elements = [Int16](unsafeUninitializedCapacity: padded) { buffer, count in
            for index in 0..<padded {
                guard index < query.count, !isZero else {
                    buffer[index] = 0
                    continue
                }
                let element = max(-levels, min(levels, (query[index] * inverse).rounded(.toNearestOrEven)))
                buffer[index] = Int16(element)
                let difference = query[index] - element * unit
                lost += difference * difference
                squares += query[index] * query[index]
            }
            count = padded
        }
        norm = squares.squareRoot()
        error = lost.squareRoot()
    }
}
