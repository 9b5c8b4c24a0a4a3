// The bytes of a vector in the database. A vector has a node number, which is never given twice: writing a vector again
// gives it a new one. The node is what the index knows; the key leads to it.
//
//   entry:     key: 02 │ user key                  value: node: varint
//   node:      key: 01 │ node: u64, big-endian     value: key length: varint │ key │ metadata length: varint │ metadata │
//                                                         scale: f32 │ norm: f32 │ error: f32 │
//                                                         link count: varint │ links, differences: varint │ codes
//   original:  key: node: u64, big-endian          value: elements, 4 or 2 bytes each     — FORMAT.md §8.5
//
// Links are the nodes that the new one was linked to, ascending, each as the difference from the one before. Links back
// are not stored: who reads all nodes in order and links them as they come has the same graph again. So one vector costs
// three small writes, whatever it is linked to, and no two transactions meet in a neighbour.

import Apus

enum VectorKey {
    /// Far more than will ever be written; a larger number is damage.
    static let nodeLimit: UInt64 = 1 << 62
    static let nodeTag: UInt8 = 1
    static let entryTag: UInt8 = 2

    static func node(_ node: UInt64) -> [UInt8] {
        var key = [nodeTag]
        key.appendBigEndian(node)
        return key
    }

    static func entry(_ key: some ByteRepresentable) -> [UInt8] {
        key.withBytes { [entryTag] + $0 }
    }

    static func original(_ node: UInt64) -> [UInt8] {
        var key: [UInt8] = []
        key.appendBigEndian(node)
        return key
    }

    /// The number in a node's key; nil if it is none.
    static func number(_ key: RawSpan) -> UInt64? {
        key.withUnsafeBytes { bytes in
            guard bytes.count == 9, bytes[0] == nodeTag else { return nil }
            return UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
        }
    }

    static let nodes = KeyRange.prefix([nodeTag])
    static let entries = KeyRange.prefix([entryTag])
}

/// What is stored of a node, decoded.
struct VectorRecord {
    var key: [UInt8]
    /// Encoded.
    var metadata: [UInt8]
    var scale: Float
    /// The length of the vector as it was given.
    var norm: Float
    /// The length of what quantisation lost.
    var error: Float
    /// Ascending.
    var links: [UInt64]
    var codes: [Int8]

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(key.count + metadata.count + 3 * links.count + codes.count + 24)
        bytes.appendVarint(UInt64(key.count))
        bytes.append(contentsOf: key)
        bytes.appendVarint(UInt64(metadata.count))
        bytes.append(contentsOf: metadata)
        for float in [scale, norm, error] { bytes.appendLittleEndian(float.bitPattern) }
        bytes.appendVarint(UInt64(links.count))
        var previous: UInt64 = 0
        for link in links {
            bytes.appendVarint(link - previous)
            previous = link
        }
        codes.withUnsafeBytes { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// nil if the bytes are no record of a vector with that many elements.
    init?(_ bytes: UnsafeRawBufferPointer, dimension: Int) {
        var reader = StoreByteReader(bytes)
        guard let key = reader.lengthPrefixed(), let metadata = reader.lengthPrefixed(),
            let scale: UInt32 = reader.littleEndian(), let norm: UInt32 = reader.littleEndian(),
            let error: UInt32 = reader.littleEndian(), let linkCount = reader.varint(), linkCount <= 1024
        else { return nil }
        var links: [UInt64] = []
        var previous: UInt64 = 0
        for _ in 0..<linkCount {
            guard let difference = reader.varint() else { return nil }
            let (link, overflow) = previous.addingReportingOverflow(difference)
            if overflow || link == previous && !links.isEmpty { return nil }
            links.append(link)
            previous = link
        }
        guard reader.remainingByteCount == dimension, let codes = reader.bytes(dimension) else { return nil }
        self.init(
            key: key, metadata: metadata, scale: Float(bitPattern: scale), norm: Float(bitPattern: norm),
            error: Float(bitPattern: error), links: links, codes: codes.map { Int8(bitPattern: $0) })
        for float in [self.scale, self.norm, self.error] where !(float >= 0 && float <= 2 * VectorShape.normLimit) {
            return nil
        }
    }

    init(
        key: [UInt8], metadata: [UInt8], scale: Float, norm: Float, error: Float, links: [UInt64], codes: [Int8]
    ) {
        self.key = key
        self.metadata = metadata
        self.scale = scale
        self.norm = norm
        self.error = error
        self.links = links
        self.codes = codes
    }

    /// All that a result needs.
    struct Header {
        var key: [UInt8]
        /// Encoded.
        var metadata: [UInt8]
    }

    static func header(_ bytes: UnsafeRawBufferPointer) -> Header? {
        var reader = StoreByteReader(bytes)
        guard let key = reader.lengthPrefixed(), let metadata = reader.lengthPrefixed() else { return nil }
        return Header(key: key, metadata: metadata)
    }
}
