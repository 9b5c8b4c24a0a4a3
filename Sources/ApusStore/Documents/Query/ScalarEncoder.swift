// Constants of conditions: any `Encodable` value that encodes as one scalar (numbers, strings, enumerations with raw
// values, identifiers, times, optionals of them) becomes the scalar that a record would hold.

import Apus

extension JSONValue {
    /// - Throws: `invalidQuery` if the value encodes as an array or an object.
    init(scalar value: some Encodable) throws(StoreError) {
        switch value {
        case let value as String: self = .string(value)
        case let value as Int: self = .integer(Int64(value))
        case let value as DocumentID: self = .id(value)
        case let value as Timestamp: self = .date(value)
        case let value as [UInt8]: self = .bytes(value)
        case let value as JSONValue: self = value
        default:
            let encoder = ScalarEncoder()
            do { try value.encode(to: encoder) } catch { encoder.hasFailed = true }
            guard !encoder.hasFailed, let result = encoder.result else {
                throw StoreError(.invalidQuery, "\(value) is no single value, and only such can be compared with")
            }
            self = result
        }
    }
}

private final class ScalarEncoder: Encoder, SingleValueEncodingContainer {
    var result: JSONValue?
    var hasFailed = false

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        hasFailed = true
        return RefusingContainer<RefusingKey>(encoder: self)
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        hasFailed = true
        return KeyedEncodingContainer(RefusingContainer<Key>(encoder: self))
    }

    func encodeNil() { result = .null }
    func encode(_ value: Bool) { result = .bool(value) }
    func encode(_ value: String) { result = .string(value) }
    func encode(_ value: Double) { result = .double(value) }
    func encode(_ value: Float) { result = .double(Double(value)) }
    func encode(_ value: Int) { result = JSONValue(value) }
    func encode(_ value: Int8) { result = JSONValue(value) }
    func encode(_ value: Int16) { result = JSONValue(value) }
    func encode(_ value: Int32) { result = JSONValue(value) }
    func encode(_ value: Int64) { result = JSONValue(value) }
    func encode(_ value: UInt) { result = JSONValue(value) }
    func encode(_ value: UInt8) { result = JSONValue(value) }
    func encode(_ value: UInt16) { result = JSONValue(value) }
    func encode(_ value: UInt32) { result = JSONValue(value) }
    func encode(_ value: UInt64) { result = JSONValue(value) }

    func encode<Value: Encodable>(_ value: Value) throws {
        result = try JSONValue(scalar: value)
    }
}

private enum RefusingKey: CodingKey {}

/// Takes everything and keeps nothing: the encoder has failed already.
private struct RefusingContainer<Key: CodingKey>: KeyedEncodingContainerProtocol, UnkeyedEncodingContainer {
    let encoder: ScalarEncoder
    var codingPath: [any CodingKey] { [] }
    var count: Int { 0 }

    func encodeNil(forKey key: Key) {}
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) {}
    func encodeNil() {}
    func encode<Value: Encodable>(_ value: Value) {}
    func superEncoder() -> any Encoder { encoder }
    func superEncoder(forKey key: Key) -> any Encoder { encoder }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { self }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { self }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        KeyedEncodingContainer(RefusingContainer<Nested>(encoder: encoder))
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        KeyedEncodingContainer(RefusingContainer<Nested>(encoder: encoder))
    }
}
