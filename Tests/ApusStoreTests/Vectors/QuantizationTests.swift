// Codes: how far they may be from what they stand for, and that the bounds built on that hold.

import Testing

@testable import ApusStore

@Suite struct QuantizationTests {
    @Test func codesLieWithinHalfAStep() {
        var random = VectorRandom(seed: 21)
        for dimension in [1, 2, 7, 33, 384] {
            for element in [VectorElement.int8, .compact] {
                let vector = random.floats(dimension)
                let code = vector.withUnsafeBufferPointer { VectorCode($0, element) }
                if element == .int8 {
                    #expect(code.codes.contains { abs(Int($0)) == 127 }, "the largest element has the largest code")
                }
                for (element, decoded) in zip(vector, code.decoded) {
                    #expect(abs(element - decoded) <= code.scale * 0.5001)
                }
                let error = vector.withUnsafeBufferPointer { code.error(of: $0) }
                #expect(error <= 0.5001 * code.scale * Float(dimension).squareRoot())
            }
        }
    }

    @Test func oneLargeElementDoesNotDrownTheOthersOfACompactCode() {
        var vector = [Float](repeating: 0.01, count: 384)
        vector[7] = 0.2
        let code = vector.withUnsafeBufferPointer { VectorCode($0, .compact) }
        #expect(code.codes[7] >= 60 && code.codes[8] >= 3)
    }

    @Test func nothingBecomesZeros() {
        for vector in [[Float](repeating: 0, count: 5), [0, .leastNonzeroMagnitude, 0, 0, 0]] {
            let code = vector.withUnsafeBufferPointer { VectorCode($0) }
            #expect(code.codes.allSatisfy { $0 == 0 } && code.scale == 0)
            let query = vector.withUnsafeBufferPointer { QueryCode($0) }
            #expect(query.elements.allSatisfy { $0 == 0 } && query.scale == 0)
        }
    }

    @Test func largeElementsStayFinite() {
        let vector: [Float] = [.greatestFiniteMagnitude, -.greatestFiniteMagnitude, 1]
        let code = vector.withUnsafeBufferPointer { VectorCode($0) }
        #expect(code.codes == [127, -127, 0] && code.scale.isFinite)
    }

    @Test(arguments: VectorMetric.allCases)
    func theBoundsOfExactSearchHold(metric: VectorMetric) {
        var random = VectorRandom(seed: 22)
        for dimension in [1, 3, 40, 384] {
            let shape = VectorShape(dimension: dimension, metric: metric, element: .float32)
            for round in 0..<200 {
                // Lengths of every order.
                let factor = Float(1 << (round % 20)) / 1024
                let vector = random.floats(dimension).map { $0 * factor }
                let query = random.floats(dimension)
                let encoded = shape.encode(vector)
                let indexed = shape.indexed(
                    node: 1,
                    VectorRecord(
                        key: [], metadata: [], scale: encoded.code.scale, norm: encoded.norm, error: encoded.error,
                        links: [], codes: encoded.code.codes))
                let prepared = shape.prepared(query)
                let code = prepared.withUnsafeBufferPointer { QueryCode($0) }
                let (distance, margin) = code.elements.withUnsafeBufferPointer { elements in
                    var dot: Int32 = 0
                    DistanceKernels.best.adjacentDots(
                        elements.baseAddress, encoded.code.codes, dimension, 1, dimension, &dot)
                    let query = GraphQuery(code, elements: elements.baseAddress!, metric: metric)
                    return BoundedEstimate(query, code, metric: metric, dimension: dimension).estimate(
                        dot, scale: indexed.code.scale, bias: indexed.bias, error: indexed.error)
                }
                let truth = PlainDistance.between(query, vector, metric)
                #expect(abs(Double(distance) - truth) <= Double(margin), "\(dimension), round \(round)")
            }
        }
    }
}
