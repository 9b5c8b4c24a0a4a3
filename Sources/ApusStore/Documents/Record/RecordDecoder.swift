// Turns record bytes into `Decodable` values without anything in between: containers are a few words that say which
// bytes of the record they cover. Types ask for their fields in the order in which they wrote them, so the field asked
// for is nearly always the next one; only where it is not are the fields searched.

import Apus

/// The state that all containers of one decoding share. The bytes are valid only until `decode` returns: then the state
/// forgets them, and a container that somebody kept finds nothing any more.
final class RecordDecoder {
    @exclusivity(unchecked) private(set) var bytes: UnsafeRawBufferPointer
    private let names: [String]
    /// Where the field begins that will probably be asked for next.
    @exclusivity(unchecked) private var hint = 0
    @exclusivity(unchecked) private var nesting = 0
    /// Types inside single values (an enumeration, an optional) are decoded inside each other too.
    private static let nestingLimit = 4 * RecordFormat.nestingLimit

    private init(_ bytes: UnsafeRawBufferPointer, names: [String]) {
        self.bytes = bytes
        self.names = names
    }

    static func decode<Value: Decodable>(
        _ type: Value.Type, from record: RecordView, names: FieldNameTable
    ) throws -> Value {
        if Value.self == JSONValue.self {
            return try JSONValue(fields: record.fields, names: names) as! Value
        }
        let state = RecordDecoder(record.fields, names: names.names)
        defer { state.bytes = UnsafeRawBufferPointer(start: nil, count: 0) }
        return try Value(from: RecordDecoding(state: state, place: .fields(0..<record.fields.count)))
    }

    /// The fields of an object, or the one value, that a decoder or container is about. Two words, so that a decoder is
    /// three: an existential holds so many without asking for memory.
    struct Place {
        private let start: Int
        /// -1 for a value, whose end is not known.
        private let end: Int

        static func fields(_ range: Range<Int>) -> Place { Place(start: range.lowerBound, end: range.upperBound) }
        static func value(_ position: Int) -> Place { Place(start: position, end: -1) }

        /// Where the value stands; nil for fields.
        var position: Int? { end < 0 ? start : nil }
        /// nil for a value.
        var fields: Range<Int>? { end < 0 ? nil : start..<end }
    }

    func cursor(at position: Int, to end: Int? = nil) -> RecordCursor {
        var cursor = RecordCursor(end.map { UnsafeRawBufferPointer(rebasing: bytes[..<$0]) } ?? bytes)
        cursor.position = position
        return cursor
    }

    // MARK: Fields

    /// Where the value of a field stands; nil if there is no such field.
    @inline(__always)
    func find(_ name: String, in fields: Range<Int>) throws -> Int? {
        let end = fields.upperBound
        guard end <= bytes.count else { throw RecordDamage("the record was let go of") }
        if hint >= fields.lowerBound, hint < end {
            var cursor = RecordCursor(UnsafeRawBufferPointer(rebasing: bytes[..<end]))
            cursor.position = hint
            let (id, written) = try cursor.fieldName()
            if try isName(name, id, written) { return cursor.position }
        }
        return try search(name, in: fields)
    }

    @inline(__always)
    private func isName(_ name: String, _ id: UInt32, _ written: UnsafeRawBufferPointer?) throws -> Bool {
        if let written { return RecordCursor.equal(written, name) }
        guard id < names.count else { throw RecordDamage("the record uses the name \(id), which does not exist") }
        return names[Int(id)] == name
    }

    private func search(_ name: String, in fields: Range<Int>) throws -> Int? {
        var cursor = cursor(at: fields.lowerBound, to: fields.upperBound)
        while !cursor.isAtEnd {
            let (id, written) = try cursor.fieldName()
            if try isName(name, id, written) { return cursor.position }
            _ = try cursor.content(of: try cursor.byte())
        }
        return nil
    }

    func allNames(in fields: Range<Int>) throws -> [String] {
        var found: [String] = []
        var cursor = cursor(at: fields.lowerBound, to: fields.upperBound)
        while !cursor.isAtEnd {
            let (id, written) = try cursor.fieldName()
            if let written {
                found.append(String(decoding: written, as: UTF8.self))
            } else {
                guard id < names.count else { throw RecordDamage("the record uses a name that does not exist") }
                found.append(names[Int(id)])
            }
            _ = try cursor.content(of: try cursor.byte())
        }
        return found
    }

    // MARK: Values

    /// The value at `position`; the field behind it is the next one expected.
    @inline(__always)
    func value(at position: Int) throws -> RawValue {
        var cursor = RecordCursor(bytes)
        cursor.position = position
        let value = try cursor.value()
        hint = cursor.position
        return value
    }

    /// A value of any type.
    @inline(__always)
    func decode<Value: Decodable>(_ type: Value.Type, at position: Int) throws -> Value {
        if Value.self == DocumentID.self { return unsafeBitCast(try value(at: position).id(), to: Value.self) }
        if Value.self == Timestamp.self { return unsafeBitCast(try value(at: position).timestamp(), to: Value.self) }
        if Value.self == String.self { return try value(at: position).string() as! Value }
        if Value.self == [UInt8].self, let bytes = try value(at: position).bytesIfAny() { return bytes as! Value }
        if Value.self == JSONValue.self {
            let table = FieldNameTable(names: names)
            return try JSONValue(try value(at: position), names: table, nesting: 0) as! Value
        }
        let end = try skip(position)
        // No record that was written nests deeper, and no damaged one may exhaust the stack.
        guard nesting < Self.nestingLimit else { throw RecordDamage("the record nests too deeply") }
        nesting += 1
        defer { nesting -= 1 }
        let result = try Value(from: RecordDecoding(state: self, place: .value(position)))
        hint = end
        return result
    }

    private func skip(_ position: Int) throws -> Int {
        var cursor = RecordCursor(bytes)
        cursor.position = position
        _ = try cursor.content(of: try cursor.byte())
        return cursor.position
    }

    /// The range of the content of an array or object.
    func content(at position: Int, tag: UInt8, _ what: String) throws -> Range<Int> {
        var cursor = RecordCursor(bytes)
        cursor.position = position
        let value = try cursor.value()
        guard value.tag == tag else { throw mismatch(what, value) }
        return (cursor.position - value.content.count)..<cursor.position
    }
}

/// The value is not of the type that was asked for.
func mismatch(_ wanted: String, _ value: RawValue) -> DecodingError {
    .dataCorrupted(.init(codingPath: [], debugDescription: "\(value.kindName) was found where \(wanted) was expected"))
}

extension RawValue {
    /// For messages.
    var kindName: String {
        switch tag {
        case RecordTag.null: "null"
        case RecordTag.true, RecordTag.false: "a boolean"
        case RecordTag.integer, RecordTag.unsigned: "an integer"
        case RecordTag.double, RecordTag.float: "a fraction"
        case RecordTag.bytes: "bytes"
        case RecordTag.date: "a time"
        case RecordTag.id: "an identifier"
        case RecordTag.array: "an array"
        case RecordTag.object: "an object"
        default: tag & RecordTag.shortString != 0 || tag == RecordTag.string ? "a string" : "an integer"
        }
    }

    /// The number of a varint's content, which was walked over before.
    @inline(__always)
    var varint: UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        for byte in content {
            value |= UInt64(byte & 0x7F) << shift
            shift += 7
        }
        return value
    }

    /// nil if it is no integer, or above Int64.max.
    @inline(__always)
    var int64: Int64? {
        if tag & 0xC0 == RecordTag.smallInteger { return Int64(tag & 0x3F) }
        return tag == RecordTag.integer ? unzigzag(varint) : nil
    }

    var doubleValue: Double? {
        switch tag {
        case RecordTag.double:
            Double(bitPattern: UInt64(littleEndian: content.loadUnaligned(as: UInt64.self)))
        case RecordTag.float:
            Double(Float(bitPattern: UInt32(littleEndian: content.loadUnaligned(as: UInt32.self))))
        default: nil
        }
    }

    var idValue: DocumentID? {
        guard tag == RecordTag.id else { return nil }
        let high = UInt64(bigEndian: content.loadUnaligned(as: UInt64.self))
        let low = UInt64(bigEndian: content.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        return DocumentID(UInt128(high) << 64 | UInt128(low))
    }

    var timestampValue: Timestamp? {
        tag == RecordTag.date ? Timestamp(milliseconds: unzigzag(varint)) : nil
    }

    // MARK: As Swift values, or an error

    func bool() throws -> Bool {
        guard tag == RecordTag.true || tag == RecordTag.false else { throw mismatch("a boolean", self) }
        return tag == RecordTag.true
    }

    @inline(__always)
    func string() throws -> String {
        guard isString else { throw mismatch("a string", self) }
        return String(decoding: content, as: UTF8.self)
    }

    @inline(__always)
    func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) throws -> Integer {
        if let value = int64 {
            guard let result = Integer(exactly: value) else { throw tooLarge(value) }
            return result
        }
        if tag == RecordTag.unsigned {
            guard let result = Integer(exactly: varint) else { throw tooLarge(varint) }
            return result
        }
        // JSON does not tell 5 from 5.0.
        guard let fraction = doubleValue, let result = Integer(exactly: fraction) else {
            throw mismatch("an integer", self)
        }
        return result
    }

    private func tooLarge(_ value: some FixedWidthInteger) -> DecodingError {
        .dataCorrupted(.init(codingPath: [], debugDescription: "\(value) does not fit into the integer of the type"))
    }

    func double() throws -> Double {
        if let value = doubleValue { return value }
        if let value = int64 { return Double(value) }
        guard tag == RecordTag.unsigned else { throw mismatch("a number", self) }
        return Double(varint)
    }

    func float() throws -> Float { Float(try double()) }

    func id() throws -> DocumentID {
        if let value = idValue { return value }
        guard isString, let id = DocumentID(try string()) else { throw mismatch("an identifier", self) }
        return id
    }

    func timestamp() throws -> Timestamp {
        if let value = timestampValue { return value }
        guard let milliseconds = int64 else { throw mismatch("a time", self) }
        return Timestamp(milliseconds: milliseconds)
    }

    func bytesIfAny() throws -> [UInt8]? { tag == RecordTag.bytes ? [UInt8](content) : nil }
}
