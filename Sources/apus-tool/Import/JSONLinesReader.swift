// JSON Lines: one object per line. Either `{"key":…,"value":…}`, as export writes it, or objects of any shape, of which
// one field is the key and the whole line is the value.

import Foundation

final class JSONLinesReader: RecordReader {
    private let input: ByteInput
    private let keyField: String?
    private(set) var position: ReaderPosition

    /// - Parameter keyField: the field that holds the key, if the objects are not of the form that export writes.
    init(_ input: ByteInput, keyField: String?, from position: ReaderPosition) throws {
        self.input = input
        self.keyField = keyField
        self.position = position
        try input.skipByteOrderMark()
        if position.offset > 0 { try input.skip(to: position.offset) }
    }

    func next() throws -> ImportRecord? {
        while let line = try input.line(limit: recordByteLimit) {
            let text = trimmed(line)
            if text.isEmpty {
                position.offset = input.offset
                continue
            }
            let record: ImportRecord
            do {
                var scanner = JSONScanner(text)
                let fields = try scanner.object()
                record = try keyField.map { try whole(text, fields, key: $0) } ?? pair(fields)
            } catch let error as JSONScanner.Malformed {
                throw failure(input, error.what)
            }
            position = ReaderPosition(offset: input.offset, records: position.records + 1)
            return record
        }
        return nil
    }

    private func whole(_ line: [UInt8], _ fields: [JSONScanner.Field], key name: String) throws -> ImportRecord {
        guard let field = fields.first(where: { $0.name == Array(name.utf8) }) else {
            throw failure(input, "the object has no field \"\(name)\"")
        }
        let key = content(field.value)
        if key.isEmpty { throw failure(input, "the key, field \"\(name)\", is empty") }
        return ImportRecord(key: key, value: line)
    }

    private func pair(_ fields: [JSONScanner.Field]) throws -> ImportRecord {
        var key: [UInt8]?
        var value: [UInt8]?
        for field in fields {
            let bytes = content(field.value)
            let name = String(decoding: field.name, as: UTF8.self)
            if key != nil, ["key", "keyHex", "keyBase64"].contains(name) { throw failure(input, "there are two keys") }
            if value != nil, ["value", "valueHex", "valueBase64"].contains(name) {
                throw failure(input, "there are two values")
            }
            switch name {
            case "key": key = bytes
            case "keyHex": key = try decoded(bytes, "keyHex", hex: true)
            case "keyBase64": key = try decoded(bytes, "keyBase64", hex: false)
            case "value": value = bytes
            case "valueHex": value = try decoded(bytes, "valueHex", hex: true)
            case "valueBase64": value = try decoded(bytes, "valueBase64", hex: false)
            case let other:
                throw failure(
                    input,
                    "field \"\(other)\" is neither key nor value; --key-field imports objects of any shape"
                )
            }
        }
        guard let key, let value else {
            throw failure(input, "\(key == nil ? "key" : "value") is missing; --key-field imports objects of any shape")
        }
        if key.isEmpty { throw failure(input, "the key is empty") }
        return ImportRecord(key: key, value: value)
    }

    /// The text of a string; the JSON text of anything else.
    private func content(_ value: JSONScanner.Value) -> [UInt8] {
        switch value {
        case .string(let bytes): bytes
        case .other(let json): Array(json)
        }
    }

    private func decoded(_ text: [UInt8], _ name: String, hex: Bool) throws -> [UInt8] {
        let text = String(decoding: text, as: UTF8.self)
        guard let decoded = hex ? bytes(hexadecimal: text) : Data(base64Encoded: text).map({ Array($0) }) else {
            throw failure(input, "\(name) is not \(hex ? "hexadecimal" : "Base64")")
        }
        return decoded
    }

    private func trimmed(_ line: [UInt8]) -> [UInt8] {
        let isSpace = { (byte: UInt8) in byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }
        guard let first = line.firstIndex(where: { !isSpace($0) }), let last = line.lastIndex(where: { !isSpace($0) })
        else { return [] }
        return Array(line[first...last])
    }
}
