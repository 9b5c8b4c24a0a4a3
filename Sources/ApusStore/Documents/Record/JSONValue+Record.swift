// Documents without a type, to and from records.

import Apus

extension RecordEncoder {
    /// The fields of a document, in the order of their names, so that equal documents have equal bytes.
    func write(fields: [String: JSONValue]) throws {
        try write(fields: fields, depth: 0)
    }

    private func write(fields: [String: JSONValue], depth: Int) throws {
        for (name, value) in fields.sorted(by: { $0.key < $1.key }) {
            try enter(depth: depth, start: frameStart(depth))
            try writeName(name, depth: depth)
            try write(json: value, nesting: depth)
        }
    }

    /// A value inside the frame at depth `nesting`.
    func write(json value: JSONValue, nesting: Int) throws {
        switch value {
        case .null: writeNull()
        case .bool(let value): write(value)
        case .integer(let value): write(value)
        case .unsigned(let value): write(value)
        case .double(let value): write(value)
        case .string(let value): write(value)
        case .bytes(let value): value.withUnsafeBytes { write(bytes: $0) }
        case .date(let value): write(value)
        case .id(let value): write(value)
        case .array(let elements):
            let inner = try openNested(nesting, isArray: true)
            for element in elements {
                try enter(depth: inner, start: frameStart(inner))
                try write(json: element, nesting: inner)
            }
            try enter(depth: nesting, start: frameStart(nesting))
        case .object(let fields):
            let inner = try openNested(nesting, isArray: false)
            try write(fields: fields, depth: inner)
            try enter(depth: nesting, start: frameStart(nesting))
        }
    }

    private func openNested(_ nesting: Int, isArray: Bool) throws -> Int {
        guard nesting < RecordFormat.nestingLimit else {
            throw EncodingError.invalidValue(
                nesting, .init(codingPath: [], debugDescription: "nested deeper than \(nesting) levels"))
        }
        return open(parent: nesting, start: count, isArray: isArray)
    }
}

extension JSONValue {
    /// The object with these fields.
    init(fields: UnsafeRawBufferPointer, names: FieldNameTable, nesting: Int = 0) throws(RecordDamage) {
        var result: [String: JSONValue] = [:]
        var cursor = RecordCursor(fields)
        while !cursor.isAtEnd {
            let (id, written) = try cursor.fieldName()
            let name: String
            if let written {
                name = String(decoding: written, as: UTF8.self)
            } else {
                guard id < names.names.count else { throw RecordDamage("the record uses a name that does not exist") }
                name = names.names[Int(id)]
            }
            result[name] = try JSONValue(try cursor.value(), names: names, nesting: nesting)
        }
        self = .object(result)
    }

    init(_ value: RawValue, names: FieldNameTable, nesting: Int) throws(RecordDamage) {
        switch value.tag {
        case RecordTag.array:
            guard nesting < RecordFormat.nestingLimit else { throw RecordDamage("the record nests too deeply") }
            var elements: [JSONValue] = []
            var cursor = RecordCursor(value.content)
            while !cursor.isAtEnd {
                elements.append(try JSONValue(try cursor.value(), names: names, nesting: nesting + 1))
            }
            self = .array(elements)
        case RecordTag.object:
            guard nesting < RecordFormat.nestingLimit else { throw RecordDamage("the record nests too deeply") }
            try self.init(fields: value.content, names: names, nesting: nesting + 1)
        default: self.init(scalar: value)
        }
    }

    /// Anything but arrays and objects, which become null.
    init(scalar value: RawValue) {
        switch value.tag {
        case RecordTag.false: self = .bool(false)
        case RecordTag.true: self = .bool(true)
        case RecordTag.unsigned: self = .unsigned(value.varint)
        case RecordTag.double, RecordTag.float: self = .double(value.doubleValue!)
        case RecordTag.bytes: self = .bytes([UInt8](value.content))
        case RecordTag.date: self = .date(value.timestampValue!)
        case RecordTag.id: self = .id(value.idValue!)
        default:
            if let integer = value.int64 {
                self = .integer(integer)
            } else {
                self = value.isString ? .string(String(decoding: value.content, as: UTF8.self)) : .null
            }
        }
    }
}
