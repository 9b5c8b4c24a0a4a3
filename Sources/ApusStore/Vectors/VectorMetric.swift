// How the distance of two vectors is measured, and in what form their elements are kept.

/// What makes two vectors near. Distances are smaller for nearer vectors, whatever the metric.
public enum VectorMetric: UInt8, Sendable, CaseIterable {
    /// 1 − the cosine of the angle: 0 for the same direction, 2 for the opposite one. Lengths do not matter.
    case cosine = 1
    /// − the inner product.
    case dot = 2
    /// The square of the Euclidean distance.
    case l2 = 3
}

/// The form in which a collection keeps the elements of its vectors.
public enum VectorElement: UInt8, Sendable, CaseIterable {
    /// As given.
    case float32 = 1
    /// Rounded to 16-bit floating point: half the space. Elements must lie within ±65,504.
    case float16 = 2
    /// Rounded to 8 bits with a scale for each vector. The originals are not kept, and results are not rescored.
    case int8 = 3
    /// Rounded more coarsely, so that entropy coding makes less than five bits of an element: less than a fifth of
    /// `float32` on disk, at a lower recall than `int8` and the same memory.
    case compact = 4

    /// How many steps of a code the root mean square of the elements is; nil for as many as 8 bits allow.
    var stepsPerDeviation: Float? { self == .compact ? 5.5 : nil }
}
