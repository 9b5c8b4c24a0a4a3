// The containers of `Codable` over RecordDecoder.

import Apus

struct RecordDecoding: Decoder {
    let state: RecordDecoder
    let place: RecordDecoder.Place

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(RecordFieldsReader<Key>(state: state, fields: try fields()))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard let position = place.position else { throw notAnObject("an array") }
        return try RecordElementsReader(state: state, at: position)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer {
        RecordSingleValueReader(decoding: self)
    }

    private func fields() throws -> Range<Int> {
        if let fields = place.fields { return fields }
        return try state.content(at: place.position!, tag: RecordTag.object, "an object")
    }

    fileprivate func notAnObject(_ wanted: String) -> DecodingError {
        .dataCorrupted(.init(codingPath: [], debugDescription: "a document was found where \(wanted) was expected"))
    }
}

struct RecordFieldsReader<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let state: RecordDecoder
    let fields: Range<Int>

    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { ((try? state.allNames(in: fields)) ?? []).compactMap { Key(stringValue: $0) } }

    func contains(_ key: Key) -> Bool { (try? state.find(key.stringValue, in: fields)) != nil }

    @inline(__always)
    private func position(_ key: Key) throws -> Int {
        guard let position = try state.find(key.stringValue, in: fields) else {
            throw DecodingError.keyNotFound(
                key, .init(codingPath: [], debugDescription: "the document has no field \"\(key.stringValue)\""))
        }
        return position
    }

    @inline(__always)
    private func value(_ key: Key) throws -> RawValue { try state.value(at: try position(key)) }

    /// nil if the field is missing or null.
    @inline(__always)
    private func valueIfPresent(_ key: Key) throws -> RawValue? {
        guard let position = try state.find(key.stringValue, in: fields) else { return nil }
        let value = try state.value(at: position)
        return value.isNull ? nil : value
    }

    func decodeNil(forKey key: Key) throws -> Bool {
        // Not `value`: what is not null is decoded next.
        try state.cursor(at: try position(key)).isNull
    }

    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try value(key).bool() }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try value(key).string() }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try value(key).double() }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try value(key).float() }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try value(key).integer(Int.self) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try value(key).integer(Int8.self) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try value(key).integer(Int16.self) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try value(key).integer(Int32.self) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try value(key).integer(Int64.self) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try value(key).integer(UInt.self) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try value(key).integer(UInt8.self) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try value(key).integer(UInt16.self) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try value(key).integer(UInt32.self) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try value(key).integer(UInt64.self) }

    func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? {
        try valueIfPresent(key)?.bool()
    }

    func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? {
        try valueIfPresent(key)?.string()
    }

    func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? {
        try valueIfPresent(key)?.double()
    }

    func decodeIfPresent(_ type: Float.Type, forKey key: Key) throws -> Float? {
        try valueIfPresent(key)?.float()
    }

    func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? {
        try valueIfPresent(key)?.integer(Int.self)
    }

    func decodeIfPresent(_ type: Int8.Type, forKey key: Key) throws -> Int8? {
        try valueIfPresent(key)?.integer(Int8.self)
    }

    func decodeIfPresent(_ type: Int16.Type, forKey key: Key) throws -> Int16? {
        try valueIfPresent(key)?.integer(Int16.self)
    }

    func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? {
        try valueIfPresent(key)?.integer(Int32.self)
    }

    func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? {
        try valueIfPresent(key)?.integer(Int64.self)
    }

    func decodeIfPresent(_ type: UInt.Type, forKey key: Key) throws -> UInt? {
        try valueIfPresent(key)?.integer(UInt.self)
    }

    func decodeIfPresent(_ type: UInt8.Type, forKey key: Key) throws -> UInt8? {
        try valueIfPresent(key)?.integer(UInt8.self)
    }

    func decodeIfPresent(_ type: UInt16.Type, forKey key: Key) throws -> UInt16? {
        try valueIfPresent(key)?.integer(UInt16.self)
    }

    func decodeIfPresent(_ type: UInt32.Type, forKey key: Key) throws -> UInt32? {
        try valueIfPresent(key)?.integer(UInt32.self)
    }

    func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? {
        try valueIfPresent(key)?.integer(UInt64.self)
    }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try state.decode(type, at: try position(key))
    }

    func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
        guard let position = try state.find(key.stringValue, in: fields) else { return nil }
        if try state.cursor(at: position).isNull { return nil }
        return try state.decode(type, at: position)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try RecordDecoding(state: state, place: .value(try position(key))).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try RecordDecoding(state: state, place: .value(try position(key))).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder {
        guard let position = try state.find("super", in: fields) else {
            throw DecodingError.valueNotFound(
                Any.self, .init(codingPath: [], debugDescription: "the document has no field \"super\""))
        }
        return RecordDecoding(state: state, place: .value(position))
    }

    func superDecoder(forKey key: Key) throws -> any Decoder {
        RecordDecoding(state: state, place: .value(try position(key)))
    }
}

extension RecordCursor {
    /// Whether the value here is null.
    var isNull: Bool {
        get throws(RecordDamage) {
            var copy = self
            return try copy.byte() == RecordTag.null
        }
    }
}

struct RecordElementsReader: UnkeyedDecodingContainer {
    let state: RecordDecoder
    private let content: Range<Int>
    /// Single bytes of a value of bytes, for types such as `Data`.
    private let isBytes: Bool
    private var position: Int
    private(set) var currentIndex = 0

    init(state: RecordDecoder, at position: Int) throws {
        self.state = state
        isBytes = try state.cursor(at: position).isBytes
        content = try state.content(at: position, tag: isBytes ? RecordTag.bytes : RecordTag.array, "an array")
        self.position = content.lowerBound
    }

    var codingPath: [any CodingKey] { [] }
    var isAtEnd: Bool { position >= content.upperBound }

    var count: Int? {
        if isBytes { return content.count }
        var count = 0
        var cursor = state.cursor(at: content.lowerBound, to: content.upperBound)
        while !cursor.isAtEnd {
            guard (try? cursor.value()) != nil else { return nil }
            count += 1
        }
        return count
    }

    private mutating func advance() throws -> Int {
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                Any.self, .init(codingPath: [], debugDescription: "the array has only \(currentIndex) elements"))
        }
        let start = position
        if isBytes {
            position += 1
        } else {
            var cursor = state.cursor(at: start, to: content.upperBound)
            _ = try cursor.value()
            position = cursor.position
        }
        currentIndex += 1
        return start
    }

    private mutating func value() throws -> RawValue { try state.value(at: try advance()) }

    private mutating func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) throws -> Integer {
        let start = try advance()
        if isBytes {
            var cursor = state.cursor(at: start, to: content.upperBound)
            return Integer(truncatingIfNeeded: try cursor.byte())
        }
        return try state.value(at: start).integer(type)
    }

    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd, !isBytes, try state.cursor(at: position).isNull else { return false }
        _ = try advance()
        return true
    }

    mutating func decode(_ type: Bool.Type) throws -> Bool { try value().bool() }
    mutating func decode(_ type: String.Type) throws -> String { try value().string() }
    mutating func decode(_ type: Double.Type) throws -> Double { try value().double() }
    mutating func decode(_ type: Float.Type) throws -> Float { try value().float() }
    mutating func decode(_ type: Int.Type) throws -> Int { try integer(type) }
    mutating func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
    mutating func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
    mutating func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
    mutating func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
    mutating func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        if isBytes {
            guard let byte = try integer(UInt8.self) as? Value else {
                throw DecodingError.typeMismatch(
                    type, .init(codingPath: [], debugDescription: "bytes were found where an array was expected"))
            }
            return byte
        }
        return try state.decode(type, at: try advance())
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> { try superDecoder().container(keyedBy: type) }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try superDecoder().unkeyedContainer()
    }

    mutating func superDecoder() throws -> any Decoder {
        RecordDecoding(state: state, place: .value(try advance()))
    }
}

extension RecordCursor {
    /// Whether the value here is one of bytes.
    var isBytes: Bool {
        get throws(RecordDamage) {
            var copy = self
            return try copy.byte() == RecordTag.bytes
        }
    }
}

struct RecordSingleValueReader: SingleValueDecodingContainer {
    let decoding: RecordDecoding

    var codingPath: [any CodingKey] { [] }

    private func value() throws -> RawValue {
        guard let position = decoding.place.position else { throw decoding.notAnObject("a single value") }
        return try decoding.state.value(at: position)
    }

    func decodeNil() -> Bool {
        guard let position = decoding.place.position else { return false }
        return (try? decoding.state.cursor(at: position).isNull) ?? false
    }

    func decode(_ type: Bool.Type) throws -> Bool { try value().bool() }
    func decode(_ type: String.Type) throws -> String { try value().string() }
    func decode(_ type: Double.Type) throws -> Double { try value().double() }
    func decode(_ type: Float.Type) throws -> Float { try value().float() }
    func decode(_ type: Int.Type) throws -> Int { try value().integer(Int.self) }
    func decode(_ type: Int8.Type) throws -> Int8 { try value().integer(Int8.self) }
    func decode(_ type: Int16.Type) throws -> Int16 { try value().integer(Int16.self) }
    func decode(_ type: Int32.Type) throws -> Int32 { try value().integer(Int32.self) }
    func decode(_ type: Int64.Type) throws -> Int64 { try value().integer(Int64.self) }
    func decode(_ type: UInt.Type) throws -> UInt { try value().integer(UInt.self) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try value().integer(UInt8.self) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try value().integer(UInt16.self) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try value().integer(UInt32.self) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try value().integer(UInt64.self) }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        guard let position = decoding.place.position else { return try Value(from: decoding) }
        return try decoding.state.decode(type, at: position)
    }
}
