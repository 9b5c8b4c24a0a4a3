// From vectors as they are given to what is stored and indexed, and back: rounding to the element type, normalising,
// codes; distances from originals.

import Apus

/// What every vector of a collection has in common.
struct VectorShape: Sendable, Equatable {
    var dimension: Int
    var metric: VectorMetric
    var element: VectorElement

    static let dimensions = 1...8192

    /// Longer vectors are refused: their squares would leave little of the range of a float.
    static let normLimit: Float = 1e18
    /// Under `cosine` a shorter vector has no direction, as if it were zero.
    static let leastNorm: Float = 1e-18

    // MARK: Definition

    /// dimension: varint │ metric: u8 │ element: u8                                                — FORMAT.md §8.5
    var definition: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendVarint(UInt64(dimension))
        bytes.append(metric.rawValue)
        bytes.append(element.rawValue)
        return bytes
    }

    init(dimension: Int, metric: VectorMetric, element: VectorElement) {
        self.dimension = dimension
        self.metric = metric
        self.element = element
    }

    init?(definition: [UInt8]) {
        let parsed: VectorShape? = definition.withUnsafeBytes { bytes in
            var reader = StoreByteReader(bytes)
            guard let dimension = reader.varint().flatMap({ Int(exactly: $0) }),
                VectorShape.dimensions.contains(dimension),
                let metric = reader.byte().flatMap({ VectorMetric(rawValue: $0) }),
                let element = reader.byte().flatMap({ VectorElement(rawValue: $0) }), reader.isAtEnd
            else { return nil }
            return VectorShape(dimension: dimension, metric: metric, element: element)
        }
        guard let parsed else { return nil }
        self = parsed
    }

    var keepsOriginals: Bool { element == .float32 || element == .float16 }
    var originalByteCount: Int { element == .float32 ? 4 * dimension : 2 * dimension }

    // MARK: Writing

    /// What is stored of a vector.
    struct Encoded {
        var code: VectorCode
        var norm: Float
        var error: Float
        /// nil if originals are not kept.
        var original: [UInt8]?
    }

    func encode(_ vector: [Float]) -> Encoded {
        var rounded = vector
        var original: [UInt8]?
        switch element {
        case .float32:
            var bytes: [UInt8] = []
            bytes.reserveCapacity(4 * dimension)
            for element in vector { bytes.appendLittleEndian(element.bitPattern) }
            original = bytes
        case .float16:
            var bytes: [UInt8] = []
            bytes.reserveCapacity(2 * dimension)
            for index in 0..<dimension {
                let half = HalfFloat.bits(vector[index])
                bytes.appendLittleEndian(half)
                rounded[index] = HalfFloat.widened(half)
            }
            original = bytes
        case .int8, .compact: break
        }
        let norm = VectorShape.norm(rounded)
        if metric == .cosine {
            let hasDirection = norm >= VectorShape.leastNorm
            for index in 0..<dimension { rounded[index] = hasDirection ? rounded[index] / norm : 0 }
        }
        return rounded.withUnsafeBufferPointer { rounded in
            let code = VectorCode(rounded, element)
            return Encoded(
                code: code, norm: norm, error: keepsOriginals ? code.error(of: rounded) : 0, original: original)
        }
    }

    /// The index's part of a record.
    func indexed(node: UInt64, _ record: VectorRecord) -> IndexedVector {
        var code = VectorCode(codes: record.codes, scale: record.scale)
        var error = record.error
        if metric == .cosine {
            // What rounding has done to the length would be taken for nearness. A direction has none.
            let length = Double(code.squaredNorm).squareRoot()
            if length > Double(VectorShape.leastNorm) {
                code.scale = Float(Double(code.scale) / length)
                // How far the direction is off, by what is known of the triangle of 1, `length` and `error`; the last term
                // covers rounding.
                let product = (1 + length * length - Double(error) * Double(error)) / 2
                if keepsOriginals { error = Float((max(0, 2 - 2 * product / length) + 1e-6).squareRoot()) }
            }
        }
        return IndexedVector(
            node: node, code: code, bias: bias(code, norm: record.norm), error: error, metadata: record.metadata)
    }

    /// See `NodeMemory`. What has no original is what its codes say.
    func bias(_ code: VectorCode, norm: Float) -> Float {
        if metric != .l2 { return 0 }
        return keepsOriginals ? norm * norm : code.squaredNorm
    }

    // MARK: Reading

    static func norm(_ vector: [Float]) -> Float {
        vector.withUnsafeBufferPointer {
            DistanceKernels.best.dot($0.baseAddress, $0.baseAddress, vector.count).squareRoot()
        }
    }

    /// A query as the metric wants it.
    func prepared(_ query: [Float]) -> [Float] {
        guard metric == .cosine else { return query }
        let norm = VectorShape.norm(query)
        return query.map { norm >= VectorShape.leastNorm ? $0 / norm : 0 }
    }

    /// The vector that a record and its original stand for.
    func decode(_ record: VectorRecord, original: [UInt8]?) -> [Float]? {
        guard keepsOriginals else {
            let factor = metric == .cosine ? record.scale * record.norm : record.scale
            return record.codes.map { Float($0) * factor }
        }
        guard let original, original.count == originalByteCount else { return nil }
        return original.withUnsafeBytes { bytes in
            (0..<dimension).map { index in
                element == .float32
                    ? Float(
                        bitPattern: UInt32(
                            littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)))
                    : HalfFloat.widened(
                        UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)))
            }
        }
    }

    /// The distance of a prepared query and an original; nil if it is damaged.
    func distance(
        _ query: UnsafePointer<Float>, _ original: UnsafeRawBufferPointer, _ floats: inout [Float]
    ) -> Float? {
        guard original.count == originalByteCount else { return nil }
        if floats.count < dimension { floats = [Float](repeating: 0, count: dimension) }
        return floats.withUnsafeMutableBufferPointer { floats in
            let kernels = DistanceKernels.best
            // Values lie at any address.
            if element == .float32 {
                UnsafeMutableRawPointer(floats.baseAddress!).copyMemory(
                    from: original.baseAddress!, byteCount: original.count)
            } else {
                withUnsafeTemporaryAllocation(of: UInt16.self, capacity: dimension) { halves in
                    UnsafeMutableRawPointer(halves.baseAddress!).copyMemory(
                        from: original.baseAddress!, byteCount: original.count)
                    kernels.widen(halves.baseAddress, floats.baseAddress, dimension)
                }
            }
            switch metric {
            case .l2: return kernels.squaredDistance(query, floats.baseAddress, dimension)
            case .dot: return -kernels.dot(query, floats.baseAddress, dimension)
            case .cosine:
                let norm = kernels.dot(floats.baseAddress, floats.baseAddress, dimension).squareRoot()
                return norm >= VectorShape.leastNorm
                    ? 1 - kernels.dot(query, floats.baseAddress, dimension) / norm : 1
            }
        }
    }
}
