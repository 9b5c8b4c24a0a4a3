// What an import is to do: format, keyspace, columns. Everything that decides which entries a source becomes, beside
// its content, is part of its `ImportSource`: the same file imported differently is a different import.

import Apus
import Foundation

enum ImportFormat: String, CaseIterable {
    case jsonl, csv, tsv, tree
}

struct ImportPlan {
    var keyspace: String
    /// nil: by the name of each source.
    var format: ImportFormat?
    var columns = ColumnChoice()
    var keyField: String?
    var byLine = false
    var textOnly = false
    var fullPath = false
    /// Import what earlier runs have done, too.
    var again = false

    /// - Parameters:
    ///   - path: where the source is, the same however it was called.
    ///   - name: what its keys begin with. Only files that are one value, or lines, have keys made of it.
    func source(_ path: [UInt8], _ format: ImportFormat, name: [UInt8]) -> ImportSource {
        let options: [KeyElement] =
            switch format {
            case .jsonl: [Self.element(keyField)]
            case .csv, .tsv: [Self.element(columns.key), Self.element(columns.value), KeyElement(columns.hasHeader)]
            case .tree: [KeyElement(byLine), KeyElement(name)]
            }
        return ImportSource(path: path, recipe: [KeyElement(format.rawValue)] + options)
    }

    /// An option that was not given is not one that is empty.
    private static func element(_ option: String?) -> KeyElement { option.map { KeyElement($0) } ?? nil }

    /// The format of a source that is no directory.
    func format(of source: String) throws -> ImportFormat {
        if let format, format != .tree { return format }
        if byLine || format == .tree { return .tree }
        let name = source.lowercased()
        if [".jsonl", ".ndjson", ".json"].contains(where: name.hasSuffix) { return .jsonl }
        if name.hasSuffix(".csv") { return .csv }
        if name.hasSuffix(".tsv") || name.hasSuffix(".tab") { return .tsv }
        throw Failure("the name of \(source) does not tell its format; choose one by --format")
    }

    func reader(
        _ input: ByteInput,
        _ format: ImportFormat,
        name: [UInt8],
        from position: ReaderPosition
    ) throws -> any RecordReader {
        if keyField != nil, format != .jsonl {
            throw Failure("--key-field is for JSON Lines; \(input.name) is \(format.rawValue)")
        }
        if columns != ColumnChoice(), format != .csv, format != .tsv {
            throw Failure(
                "--key-column, --value-column and --no-header are for rows; \(input.name) is \(format.rawValue)")
        }
        if byLine, format != .tree { throw Failure("--lines is for text files; \(input.name) is \(format.rawValue)") }
        return switch format {
        case .jsonl: try JSONLinesReader(input, keyField: keyField, from: position)
        case .csv: try DelimitedReader(input, delimiter: UInt8(ascii: ","), columns, from: position)
        case .tsv: try DelimitedReader(input, delimiter: 0x09, columns, from: position)
        case .tree where byLine: try LineReader(input, name: name, from: position)
        case .tree: WholeFileReader(input, name: name)
        }
    }
}
