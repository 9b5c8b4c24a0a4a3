// Keys of documents that are looked up together, so that their lookups overlap.

import Apus

/// Keys of documents that are looked up together.
struct DocumentGroupKeys {
    private var bytes: [UInt8] = []
    private var ends: [Int] = []

    var count: Int { ends.count }

    mutating func append(_ key: UnsafeRawBufferPointer) {
        bytes += DocumentCollection.documentPrefix
        bytes.append(contentsOf: key)
        ends.append(bytes.count)
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
    }

    func withKeys<Result>(_ body: ([UnsafeRawBufferPointer]) throws -> Result) rethrows -> Result {
        try bytes.withUnsafeBytes { bytes in
            var start = 0
            return try body(
                ends.map { end in
                    defer { start = end }
                    return UnsafeRawBufferPointer(rebasing: bytes[start..<end])
                })
        }
    }
}
