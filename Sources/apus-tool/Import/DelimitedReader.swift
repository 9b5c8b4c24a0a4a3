// CSV and TSV as RFC 4180 quotes them: a field may be enclosed in double quotes and then hold delimiters, line ends and
// doubled quotes. Rows end with LF, CRLF or CR, as programs of every age and system write them, so a CR that is part of
// a field has to be quoted. Fields are bytes; nothing is assumed about their encoding.

/// Which columns make the key and the value; by name, or by number from 1.
struct ColumnChoice: Equatable {
    /// nil: the first one.
    var key: String?
    /// nil: the other one of two, or all others as one JSON object.
    var value: String?
    var hasHeader = true
}

final class DelimitedReader: RecordReader {
    private let input: ByteInput
    private let delimiter: UInt8
    private let header: [[UInt8]]
    private let keyColumn: Int
    private let valueColumn: Int?
    private let hasHeader: Bool
    /// The row that told how many columns there are, where it is data, too.
    private var firstRow: [[UInt8]]?
    private(set) var position: ReaderPosition

    init(_ input: ByteInput, delimiter: UInt8, _ choice: ColumnChoice, from position: ReaderPosition) throws {
        self.input = input
        self.delimiter = delimiter
        self.position = ReaderPosition()
        hasHeader = choice.hasHeader
        try input.skipByteOrderMark()
        guard let first = try Self.row(input, delimiter, number: 1) else {
            (header, keyColumn, valueColumn) = ([], 0, nil)
            return
        }
        let header = choice.hasHeader ? first : (1...first.count).map { Array("\($0)".utf8) }
        if Set(header).count < header.count {
            let names = header.map { displayed($0) }.joined(separator: ", ")
            throw Failure("\(input.name) has two columns of one name: \(names)")
        }
        self.header = header
        keyColumn = try choice.key.map { try Self.column($0, header, input) } ?? 0
        if let name = choice.value {
            valueColumn = try Self.column(name, header, input)
        } else {
            valueColumn = header.count == 2 ? 1 - keyColumn : nil
        }
        if valueColumn == keyColumn { throw Failure("one column of \(input.name) cannot be both key and value") }
        if position.records > 0 {
            try input.skip(to: position.offset)
            self.position = position
        } else if choice.hasHeader {
            self.position.offset = input.offset
        } else {
            firstRow = first
        }
    }

    var layout: TableLayout? {
        guard !header.isEmpty else { return nil }
        guard let valueColumn else {
            return TableLayout(columns: header, key: keyColumn, value: nil, hasHeader: hasHeader)
        }
        let used = [keyColumn, valueColumn].sorted()
        return TableLayout(
            columns: used.map { header[$0] }, key: used.firstIndex(of: keyColumn)!,
            value: used.firstIndex(of: valueColumn)!,
            hasHeader: hasHeader)
    }

    func next() throws -> ImportRecord? {
        guard !header.isEmpty else { return nil }
        while let row = try firstRow ?? Self.row(input, delimiter, number: position.records + 1) {
            firstRow = nil
            // A blank line is no row, unless rows have one field.
            if row == [[]], header.count > 1 {
                position.offset = input.offset
                continue
            }
            guard row.count == header.count else {
                throw failure(input, "\(row.count) fields where \(header.count) are expected")
            }
            let value = try valueColumn.map { row[$0] } ?? object(row)
            let key = row[keyColumn]
            if key.isEmpty { throw failure(input, "the key, column \(displayed(header[keyColumn])), is empty") }
            position = ReaderPosition(offset: input.offset, records: position.records + 1)
            return ImportRecord(key: key, value: value)
        }
        return nil
    }

    /// Everything but the key, as a JSON object of strings.
    private func object(_ row: [[UInt8]]) throws -> [UInt8] {
        var json = [UInt8(ascii: "{")]
        for column in row.indices where column != keyColumn {
            guard isText(row[column]), isText(header[column]) else {
                throw failure(
                    input,
                    "column \(displayed(header[column])) is not UTF-8 text; choose one by --value-column"
                )
            }
            if json.count > 1 { json.append(UInt8(ascii: ",")) }
            appendJSONString(header[column], to: &json)
            json.append(UInt8(ascii: ":"))
            appendJSONString(row[column], to: &json)
        }
        return json + [UInt8(ascii: "}")]
    }

    private static func column(_ name: String, _ header: [[UInt8]], _ input: ByteInput) throws -> Int {
        if let index = header.firstIndex(of: Array(name.utf8)) { return index }
        if let number = Int(name), (1...header.count).contains(number) { return number - 1 }
        let names = header.map { displayed($0) }.joined(separator: ", ")
        throw Failure("\(input.name) has no column \(name); its columns are: \(names)")
    }

    // MARK: Splitting

    private struct MalformedRow: Error {
        var what: String
    }

    /// The fields of the next row; nil at the end.
    private static func row(_ input: ByteInput, _ delimiter: UInt8, number: Int) throws -> [[UInt8]]? {
        guard try input.peek() != nil else { return nil }
        var row: [[UInt8]] = []
        var byteCount = 0
        do {
            while true {
                let (field, isLast) = try field(input, delimiter)
                byteCount += field.count
                if byteCount > recordByteLimit { throw MalformedRow(what: "the row is longer than any row should be") }
                row.append(field)
                if isLast { return row }
            }
        } catch let malformed as MalformedRow {
            throw Failure("\(input.name), record \(number): \(malformed.what)")
        }
    }

    private static func field(_ input: ByteInput, _ delimiter: UInt8) throws -> ([UInt8], isLast: Bool) {
        let quote = UInt8(ascii: "\"")
        var field: [UInt8] = []
        if try input.peek() == quote {
            _ = try input.next()
            try quoted(input, into: &field)
            switch try input.next() {
            case delimiter: return (field, false)
            case nil, 0x0A: return (field, true)
            case 0x0D:
                try skipLineFeed(input)
                return (field, true)
            default: throw MalformedRow(what: "text follows a closing quote")
            }
        }
        while let byte = try input.next() {
            if byte == delimiter { return (field, false) }
            if byte == 0x0A { return (field, true) }
            if byte == 0x0D {
                try skipLineFeed(input)
                return (field, true)
            }
            field.append(byte)
            if field.count > recordByteLimit { throw MalformedRow(what: "a field is longer than any field should be") }
        }
        return (field, true)
    }

    /// The second half of CRLF.
    private static func skipLineFeed(_ input: ByteInput) throws {
        if try input.peek() == 0x0A { _ = try input.next() }
    }

    private static func quoted(_ input: ByteInput, into field: inout [UInt8]) throws {
        let quote = UInt8(ascii: "\"")
        while let byte = try input.next() {
            if byte != quote {
                field.append(byte)
            } else if try input.peek() == quote {
                field.append(quote)
                _ = try input.next()
            } else {
                return
            }
            if field.count > recordByteLimit { break }
        }
        throw MalformedRow(what: "a quote is never closed")
    }
}
