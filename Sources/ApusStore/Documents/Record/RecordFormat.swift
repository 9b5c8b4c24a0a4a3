// The bytes of a document: a header, then the fields of one object. Names are numbers from the collection's list of
// names (FieldNames), so that no record repeats them; a reader skips fields that it does not know, and misses those
// that were not written.
//
//   record:  format: u8 = 1 │ version: varint │ schema version: varint │ expiry: varint │ fields
//   field:   name: varint, 0: name length: varint and the name follow │ value
//   value:   tag: u8 │ what the tag says                                                        — FORMAT.md §8.4
//
// Integers of 0 to 63 and strings of up to 63 bytes have their value, or length, in the tag.

import Apus
import ApusIO

/// The numbers of the record format. In stored records: never renumber.
enum RecordTag {
    static let null: UInt8 = 0x00
    static let `false`: UInt8 = 0x01
    static let `true`: UInt8 = 0x02
    /// Zigzag varint.
    static let integer: UInt8 = 0x03
    /// An integer above Int64.max: varint.
    static let unsigned: UInt8 = 0x04
    /// 8 bytes, little-endian.
    static let double: UInt8 = 0x05
    /// 4 bytes, little-endian.
    static let float: UInt8 = 0x06
    /// Length as a varint, UTF-8.
    static let string: UInt8 = 0x07
    /// Length as a varint, bytes.
    static let bytes: UInt8 = 0x08
    /// Milliseconds since 1970-01-01 UTC: zigzag varint.
    static let date: UInt8 = 0x09
    /// 16 bytes.
    static let id: UInt8 = 0x0A
    /// Byte count as u32, then values.
    static let array: UInt8 = 0x0B
    /// Byte count as u32, then fields.
    static let object: UInt8 = 0x0C
    /// Plus the value.
    static let smallInteger: UInt8 = 0x40
    /// Plus the length.
    static let shortString: UInt8 = 0x80

    static let smallLimit = 64
}

enum RecordFormat {
    static let version: UInt8 = 1
    /// How deep arrays and objects may nest, so that no input exhausts the stack.
    static let nestingLimit = 64
}

/// What a damaged record throws; whoever knows the collection and the key makes a `StoreError` of it.
struct RecordDamage: Error {
    var what: String

    init(_ what: String) { self.what = what }
}

/// What stands before the fields of a record.
struct RecordHeader: Sendable, Equatable {
    /// Counts the times that the document was written, from 1.
    var version: UInt64
    var schemaVersion: UInt64
    /// Milliseconds since 1970; 0 for never.
    var expiry: UInt64

    func append(to bytes: inout [UInt8]) {
        bytes.append(RecordFormat.version)
        bytes.appendVarint(version)
        bytes.appendVarint(schemaVersion)
        bytes.appendVarint(expiry)
    }
}

/// A value, or what is left of the fields of an object, as it lies in a record. Valid as long as the bytes are.
struct RecordView {
    var header: RecordHeader
    /// Header and fields; the fields alone as long as the header is not written.
    let record: UnsafeRawBufferPointer
    let fields: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) throws(RecordDamage) {
        var cursor = RecordCursor(bytes)
        guard try cursor.byte() == RecordFormat.version else { throw RecordDamage("the record has an unknown format") }
        header = RecordHeader(
            version: try cursor.varint(), schemaVersion: try cursor.varint(), expiry: try cursor.varint())
        record = bytes
        fields = cursor.rest
    }

    /// Fields whose header is not written yet.
    init(fields: UnsafeRawBufferPointer) {
        record = fields
        self.fields = fields
        header = RecordHeader(version: 0, schemaVersion: 0, expiry: 0)
    }

    /// The value at a path of names; nil if there is none.
    @inline(__always)
    func value(at path: ResolvedPath) throws(RecordDamage) -> RawValue? {
        if path.number == 0 { return try search(path) }
        var cursor = RecordCursor(fields)
        return try cursor.find(path.number)
    }

    private func search(_ path: ResolvedPath) throws(RecordDamage) -> RawValue? {
        var fields = fields
        var depth = 0
        while true {
            guard let value = try RecordCursor.find(path.steps[depth], in: fields) else { return nil }
            depth += 1
            if depth == path.steps.count { return value }
            guard value.tag == RecordTag.object else { return nil }
            fields = value.content
        }
    }
}

/// A path of names as the records of one collection know them.
struct ResolvedPath: Sendable {
    struct Step: Sendable {
        /// 0 if the collection has no number for the name.
        var id: UInt32
        var name: String
    }

    let steps: [Step]
    /// The number of the name, if it is one alone that has a number, so that most fields are found by that; else 0.
    let number: UInt32

    init(steps: [Step]) {
        self.steps = steps
        number = steps.count == 1 ? steps[0].id : 0
    }
}

/// A value where it lies: its tag, and its content without tag and lengths. Small enough to be returned in registers,
/// since reading documents is little else than returning these.
struct RawValue {
    private let start: UnsafeRawPointer
    private let count: UInt32
    let tag: UInt8

    @inline(__always)
    init(tag: UInt8, start: UnsafeRawPointer, count: UInt32) {
        self.start = start
        self.count = count
        self.tag = tag
    }

    @inline(__always)
    var content: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: Int(count)) }

    var isNull: Bool { tag == RecordTag.null }
    /// Whether both are written alike.
    func isSame(as other: RawValue) -> Bool { tag == other.tag && equalBytes(content, other.content) }
    var isString: Bool { tag == RecordTag.string || tag >= RecordTag.shortString && tag < 0xC0 }
}

/// Walks the bytes of a record, checking every step.
struct RecordCursor {
    let bytes: UnsafeRawBufferPointer
    var position = 0

    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    @inline(__always)
    var isAtEnd: Bool { position >= bytes.count }

    var rest: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: bytes.baseAddress.map { $0 + position }, count: bytes.count &- position)
    }

    @inline(__always)
    mutating func byte() throws(RecordDamage) -> UInt8 {
        guard position < bytes.count else { throw RecordDamage("the record is cut off") }
        defer { position &+= 1 }
        return bytes[position]
    }

    @inline(__always)
    mutating func varint() throws(RecordDamage) -> UInt64 {
        let first = try byte()
        return first < 0x80 ? UInt64(first) : try longVarint(first)
    }

    private mutating func longVarint(_ first: UInt8) throws(RecordDamage) -> UInt64 {
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while true {
            let byte = try byte()
            if shift == 63 && byte > 1 { throw RecordDamage("a number of the record is larger than 64 bits") }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
            if shift > 63 { throw RecordDamage("a number of the record is longer than 10 bytes") }
        }
    }

    @inline(__always)
    mutating func take(_ count: Int) throws(RecordDamage) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= bytes.count &- position else { throw RecordDamage("the record is cut off") }
        defer { position &+= count }
        return UnsafeRawBufferPointer(start: bytes.baseAddress.map { $0 + position }, count: count)
    }

    @inline(__always)
    mutating func take(_ count: UInt64) throws(RecordDamage) -> UnsafeRawBufferPointer {
        guard count <= UInt64(bytes.count &- position) else { throw RecordDamage("the record is cut off") }
        return try take(Int(count))
    }

    /// The value that starts here; the cursor stands behind it afterwards.
    @inline(__always)
    mutating func value() throws(RecordDamage) -> RawValue {
        let tag = try byte()
        let content = try content(of: tag)
        guard let short = UInt32(exactly: content.count) else { throw RecordDamage("a value has 4 GiB or more") }
        return RawValue(tag: tag, start: content.baseAddress!, count: short)
    }

    @inline(__always)
    mutating func content(of tag: UInt8) throws(RecordDamage) -> UnsafeRawBufferPointer {
        if tag >= 0x40 {
            guard tag < 0xC0 else { throw RecordDamage("no value has the tag \(tag)") }
            return tag < 0x80 ? try take(0) : try take(Int(tag & 0x3F))
        }
        switch tag {
        case RecordTag.null, RecordTag.true, RecordTag.false: return try take(0)
        case RecordTag.integer, RecordTag.unsigned, RecordTag.date:
            let start = position
            _ = try varint()
            return UnsafeRawBufferPointer(start: bytes.baseAddress! + start, count: position &- start)
        case RecordTag.double: return try take(8)
        case RecordTag.float: return try take(4)
        case RecordTag.string, RecordTag.bytes: return try take(try varint())
        case RecordTag.id: return try take(16)
        case RecordTag.array, RecordTag.object:
            let count = try take(4).loadUnaligned(as: UInt32.self)
            return try take(Int(UInt32(littleEndian: count)))
        default: throw RecordDamage("no value has the tag \(tag)")
        }
    }

    /// A field's name: its number, or 0 and the name itself.
    @inline(__always)
    mutating func fieldName() throws(RecordDamage) -> (id: UInt32, name: UnsafeRawBufferPointer?) {
        let id = try varint()
        if id == 0 { return (0, try take(try varint())) }
        guard let short = UInt32(exactly: id) else { throw RecordDamage("a name of the record has an absurd number") }
        return (short, nil)
    }

    /// The value of the field with that number, from here on; the cursor stands behind it afterwards.
    mutating func find(_ number: UInt32) throws(RecordDamage) -> RawValue? {
        try skipPlainFields(until: number)
        while !isAtEnd {
            if try fieldName().id == number { return try value() }
            _ = try content(of: try byte())
        }
        return nil
    }

    /// Goes on as long as names have one byte, and the first byte of a value, or the one behind it, says how long the
    /// value is: so are most fields of most records. Stands before the field afterwards, or before the first one that is
    /// not so plain.
    @inline(__always)
    private mutating func skipPlainFields(until number: UInt32) throws(RecordDamage) {
        // Name, tag, length.
        while position &+ 3 <= bytes.count {
            let name = bytes[position]
            if name >= 0x80 || name == 0 || UInt32(name) == number { return }
            let tag = bytes[position &+ 1]
            var length = 2
            if tag >= 0x40 {
                if tag >= 0xC0 { return }
                if tag >= 0x80 { length = 2 &+ Int(tag & 0x3F) }
            } else {
                let next = bytes[position &+ 2]
                switch tag {
                case RecordTag.null, RecordTag.true, RecordTag.false: break
                case RecordTag.double: length = 10
                case RecordTag.id: length = 18
                case RecordTag.string where next < 0x80: length = 3 &+ Int(next)
                case RecordTag.integer, RecordTag.date:
                    // Most have more than one byte; none has more than ten.
                    length = 3
                    while length <= 12, position &+ length <= bytes.count, bytes[position &+ length &- 1] >= 0x80 {
                        length &+= 1
                    }
                default: return
                }
            }
            guard length <= bytes.count &- position else { throw RecordDamage("the record is cut off") }
            position &+= length
        }
    }

    /// The value of the field with that name among `fields`.
    static func find(
        _ step: ResolvedPath.Step, in fields: UnsafeRawBufferPointer
    ) throws(RecordDamage) -> RawValue? {
        var cursor = RecordCursor(fields)
        while !cursor.isAtEnd {
            let (id, name) = try cursor.fieldName()
            if id != 0 ? id == step.id : equal(name!, step.name) { return try cursor.value() }
            _ = try cursor.content(of: try cursor.byte())
        }
        return nil
    }

    static func equal(_ bytes: UnsafeRawBufferPointer, _ text: String) -> Bool {
        bytes.count == text.utf8.count && bytes.elementsEqual(text.utf8)
    }
}

/// Signed integers as unsigned ones with small values for small magnitudes.
@inline(__always)
func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: (value << 1) ^ (value >> 63)) }

@inline(__always)
func unzigzag(_ value: UInt64) -> Int64 { Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1) }
