// The containers of `Codable` over RecordEncoder. Each is a few words that say which open array or object of the
// encoder it writes into; the coding path is not kept, because keeping it would cost more than the encoding.

import Apus

/// The place of one value: inside the frame at `depth`, from byte `start` on.
struct RecordEncoding: Encoder {
    let state: RecordEncoder
    let depth: Int
    let start: Int

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        let opened = state.open(
            parent: depth, start: start, isArray: false, isDictionary: state.isDictionaryKey(type))
        return KeyedEncodingContainer(RecordFields<Key>(state: state, depth: opened, start: start))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        RecordElements(state: state, depth: state.open(parent: depth, start: start, isArray: true), start: start)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        RecordSingleValue(encoding: self)
    }
}

extension RecordEncoder {
    /// Writes any value into the frame at `depth`. The types that records have forms for, and those that nearly every
    /// document uses, do without a container.
    @inline(__always)
    func write<Value: Encodable>(generic value: Value, depth: Int) throws {
        if Value.self == DocumentID.self { return write(unsafeBitCast(value, to: DocumentID.self)) }
        if Value.self == Timestamp.self { return write(unsafeBitCast(value, to: Timestamp.self)) }
        if Value.self == String.self { return write(value as! String) }
        if Value.self == [UInt8].self { return (value as! [UInt8]).withUnsafeBytes { write(bytes: $0) } }
        if Value.self == JSONValue.self { return try write(json: value as! JSONValue, nesting: depth) }
        let start = count
        try value.encode(to: RecordEncoding(state: self, depth: depth, start: start))
        if self.depth != depth { try enter(depth: depth, start: frameStart(depth)) }
        if count == start {
            // It asked for no container at all.
            _ = open(parent: depth, start: start, isArray: false)
            try enter(depth: depth, start: frameStart(depth))
        }
    }
}

struct RecordFields<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let state: RecordEncoder
    let depth: Int
    let start: Int

    var codingPath: [any CodingKey] { [] }

    @inline(__always)
    private func begin(_ key: Key) throws {
        try state.enter(depth: depth, start: start)
        try state.writeName(key.stringValue, depth: depth)
    }

    func encodeNil(forKey key: Key) throws {
        try begin(key)
        state.writeNull()
    }

    func encode(_ value: Bool, forKey key: Key) throws {
        try begin(key)
        state.write(value)
    }

    func encode(_ value: String, forKey key: Key) throws {
        try begin(key)
        state.write(value)
    }

    func encode(_ value: Double, forKey key: Key) throws {
        try begin(key)
        state.write(value)
    }

    func encode(_ value: Float, forKey key: Key) throws {
        try begin(key)
        state.write(value)
    }

    func encode(_ value: Int, forKey key: Key) throws {
        try begin(key)
        state.write(Int64(value))
    }

    func encode(_ value: Int8, forKey key: Key) throws {
        try begin(key)
        state.write(Int64(value))
    }

    func encode(_ value: Int16, forKey key: Key) throws {
        try begin(key)
        state.write(Int64(value))
    }

    func encode(_ value: Int32, forKey key: Key) throws {
        try begin(key)
        state.write(Int64(value))
    }

    func encode(_ value: Int64, forKey key: Key) throws {
        try begin(key)
        state.write(value)
    }

    func encode(_ value: UInt, forKey key: Key) throws {
        try begin(key)
        state.write(UInt64(value))
    }

    func encode(_ value: UInt8, forKey key: Key) throws {
        try begin(key)
        state.write(Int64(value))
    }

    func encode(_ value: UInt16, forKey key: Key) throws {
        try begin(key)
        state.write(Int64(value))
    }

    func encode(_ value: UInt32, forKey key: Key) throws {
        try begin(key)
        state.write(Int64(value))
    }

    func encode(_ value: UInt64, forKey key: Key) throws {
        try begin(key)
        state.write(value)
    }

    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        try begin(key)
        try state.write(generic: value, depth: depth)
    }

    /// The place of a nested container; what goes wrong here is thrown when the document ends.
    private func nested(_ key: Key) -> RecordEncoding {
        do { try begin(key) } catch { state.fail(error) }
        return RecordEncoding(state: state, depth: depth, start: state.count)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { nested(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { nested(key).unkeyedContainer() }

    func superEncoder(forKey key: Key) -> any Encoder {
        let place = nested(key)
        state.promiseValue()
        return place
    }

    func superEncoder() -> any Encoder {
        do {
            try state.enter(depth: depth, start: start)
            try state.writeName("super", depth: depth)
        } catch {
            state.fail(error)
        }
        state.promiseValue()
        return RecordEncoding(state: state, depth: depth, start: state.count)
    }
}

struct RecordElements: UnkeyedEncodingContainer {
    let state: RecordEncoder
    let depth: Int
    let start: Int
    private(set) var count = 0

    init(state: RecordEncoder, depth: Int, start: Int) {
        self.state = state
        self.depth = depth
        self.start = start
    }

    var codingPath: [any CodingKey] { [] }

    @inline(__always)
    private mutating func begin() throws {
        try state.enter(depth: depth, start: start)
        count += 1
    }

    mutating func encodeNil() throws {
        try begin()
        state.writeNull()
    }

    mutating func encode(_ value: Bool) throws {
        try begin()
        state.write(value)
    }

    mutating func encode(_ value: String) throws {
        try begin()
        state.write(value)
    }

    mutating func encode(_ value: Double) throws {
        try begin()
        state.write(value)
    }

    mutating func encode(_ value: Float) throws {
        try begin()
        state.write(value)
    }

    mutating func encode(_ value: Int) throws {
        try begin()
        state.write(Int64(value))
    }

    mutating func encode(_ value: Int8) throws {
        try begin()
        state.write(Int64(value))
    }

    mutating func encode(_ value: Int16) throws {
        try begin()
        state.write(Int64(value))
    }

    mutating func encode(_ value: Int32) throws {
        try begin()
        state.write(Int64(value))
    }

    mutating func encode(_ value: Int64) throws {
        try begin()
        state.write(value)
    }

    mutating func encode(_ value: UInt) throws {
        try begin()
        state.write(UInt64(value))
    }

    mutating func encode(_ value: UInt8) throws {
        try begin()
        state.write(Int64(value))
    }

    mutating func encode(_ value: UInt16) throws {
        try begin()
        state.write(Int64(value))
    }

    mutating func encode(_ value: UInt32) throws {
        try begin()
        state.write(Int64(value))
    }

    mutating func encode(_ value: UInt64) throws {
        try begin()
        state.write(value)
    }

    mutating func encode<Value: Encodable>(_ value: Value) throws {
        try begin()
        try state.write(generic: value, depth: depth)
    }

    /// Types that are bytes (`Data`) encode all of them in one call: they become one value of bytes.
    mutating func encode<Content: Sequence>(contentsOf sequence: Content) throws where Content.Element == UInt8 {
        try state.enter(depth: depth, start: start)
        let content = [UInt8](sequence)
        if !state.sealAsBytes(content) {
            for byte in content { try encode(byte) }
        }
        count += content.count
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        place().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { place().unkeyedContainer() }

    mutating func superEncoder() -> any Encoder {
        let place = place()
        state.promiseValue()
        return place
    }

    private mutating func place() -> RecordEncoding {
        do { try begin() } catch { state.fail(error) }
        return RecordEncoding(state: state, depth: depth, start: state.count)
    }
}
