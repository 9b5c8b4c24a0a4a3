// The place of a single value of `Codable` over RecordEncoder.

import Apus

struct RecordSingleValue: SingleValueEncodingContainer {
    let encoding: RecordEncoding

    private var state: RecordEncoder { encoding.state }
    var codingPath: [any CodingKey] { [] }

    @inline(__always)
    private func begin() throws {
        guard encoding.depth >= 0 else {
            throw EncodingError.invalidValue(
                (), .init(codingPath: [], debugDescription: "a document has to encode as an object"))
        }
        guard state.count == encoding.start else {
            throw EncodingError.invalidValue(
                (), .init(codingPath: [], debugDescription: "a second value was encoded in the place of one"))
        }
    }

    func encodeNil() throws {
        try begin()
        state.writeNull()
    }

    func encode(_ value: Bool) throws {
        try begin()
        state.write(value)
    }

    func encode(_ value: String) throws {
        try begin()
        state.write(value)
    }

    func encode(_ value: Double) throws {
        try begin()
        state.write(value)
    }

    func encode(_ value: Float) throws {
        try begin()
        state.write(value)
    }

    func encode(_ value: Int) throws {
        try begin()
        state.write(Int64(value))
    }

    func encode(_ value: Int8) throws {
        try begin()
        state.write(Int64(value))
    }

    func encode(_ value: Int16) throws {
        try begin()
        state.write(Int64(value))
    }

    func encode(_ value: Int32) throws {
        try begin()
        state.write(Int64(value))
    }

    func encode(_ value: Int64) throws {
        try begin()
        state.write(value)
    }

    func encode(_ value: UInt) throws {
        try begin()
        state.write(UInt64(value))
    }

    func encode(_ value: UInt8) throws {
        try begin()
        state.write(Int64(value))
    }

    func encode(_ value: UInt16) throws {
        try begin()
        state.write(Int64(value))
    }

    func encode(_ value: UInt32) throws {
        try begin()
        state.write(Int64(value))
    }

    func encode(_ value: UInt64) throws {
        try begin()
        state.write(value)
    }

    func encode<Value: Encodable>(_ value: Value) throws {
        if encoding.depth < 0 { return try value.encode(to: encoding) }
        try begin()
        try state.write(generic: value, depth: encoding.depth)
    }
}
