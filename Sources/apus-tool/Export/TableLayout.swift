// What a table of rows looked like when it was imported, so that an export can give it the same columns again. Kept
// with the import's position.

import Apus
import Foundation

struct TableLayout: Codable, Equatable {
    /// The columns that became entries, in the order of the source.
    var columns: [[UInt8]]
    /// Which of them is the key.
    var key: Int
    /// Which of them is the value; nil if the value is a JSON object of all others.
    var value: Int?
    /// Whether the source named its columns.
    var hasHeader: Bool

    /// Keys and values as they are.
    static let plain = TableLayout(
        columns: [Array("key".utf8), Array("value".utf8)], key: 0, value: 1, hasHeader: true)

    /// The fields of the row that became this entry. Throws if the entry does not come from such a row.
    func row(_ key: [UInt8], _ value: [UInt8]) throws -> [[UInt8]] {
        if let valueColumn = self.value {
            var row = [[UInt8]](repeating: [], count: columns.count)
            row[self.key] = key
            row[valueColumn] = value
            return row
        }
        var scanner = JSONScanner(value)
        guard var rest = (try? scanner.object())?[...] else { throw mismatch(key) }
        return try columns.indices.map { column in
            if column == self.key { return key }
            guard let field = rest.popFirst(), field.name == columns[column], case .string(let text) = field.value
            else {
                throw mismatch(key)
            }
            if column == lastOther, !rest.isEmpty { throw mismatch(key) }
            return text
        }
    }

    private var lastOther: Int? { columns.indices.last { $0 != key } }

    private func mismatch(_ key: [UInt8]) -> Failure {
        let names = columns.map { displayed($0) }.joined(separator: ", ")
        return Failure(
            "the value of key \"\(shortened(displayed(key)))\" is no row with the columns \(names); --plain exports keys and "
                + "values as they are")
    }
}
