// The export formats that are one stream: JSON Lines, CSV, TSV, and the values alone. Each writes what the import of the
// same name reads back to the same bytes.

enum ExportFormat: String, CaseIterable {
    case jsonl, csv, tsv, values, tree
}

struct RecordWriter {
    private let output: ByteOutput
    private let format: ExportFormat
    private let hex: Bool
    private let layout: TableLayout

    /// - Parameter layout: the columns of CSV and TSV.
    init(_ output: ByteOutput, _ format: ExportFormat, hex: Bool, layout: TableLayout = .plain) throws {
        precondition(format != .tree, "a tree is no stream")
        self.output = output
        self.format = format
        self.hex = hex
        self.layout = layout
        guard let delimiter, layout.hasHeader else { return }
        var line: [UInt8] = []
        // Names are never hexadecimal.
        appendRow(layout.columns, delimiter, hex: false, to: &line)
        try output.write(line)
    }

    /// Between fields, in formats that have fields.
    private var delimiter: UInt8? {
        switch format {
        case .csv: UInt8(ascii: ",")
        case .tsv: 0x09
        default: nil
        }
    }

    func write(_ key: [UInt8], _ value: [UInt8]) throws {
        var line: [UInt8] = []
        if let delimiter {
            appendRow(try layout.row(key, value), delimiter, hex: hex, to: &line)
        } else if format == .jsonl {
            appendJSONEntry(key, value, hex: hex, to: &line)
        } else {
            line += hex ? Array(hexadecimal(value).utf8) : value
            line.append(0x0A)
        }
        try output.write(line)
    }

    private func appendRow(_ row: [[UInt8]], _ delimiter: UInt8, hex: Bool, to line: inout [UInt8]) {
        for (index, field) in row.enumerated() {
            if index > 0 { line.append(delimiter) }
            appendField(field, delimiter, hex: hex, to: &line)
        }
        line.append(0x0A)
    }

    private func appendField(_ field: [UInt8], _ delimiter: UInt8, hex: Bool, to line: inout [UInt8]) {
        if hex {
            line += Array(hexadecimal(field).utf8)
            return
        }
        let quote = UInt8(ascii: "\"")
        // At the beginning of a file, a byte order mark is taken away when it is read.
        guard
            field.contains(where: { $0 == delimiter || $0 == quote || $0 == 0x0A || $0 == 0x0D })
                || field.starts(with: [0xEF, 0xBB, 0xBF])
        else {
            line += field
            return
        }
        line.append(quote)
        for byte in field { line += byte == quote ? [quote, quote] : [byte] }
        line.append(quote)
    }
}
