// Aligned columns for people.

struct AlignedTable {
    private let header: [String]
    /// Columns of words go left, columns of figures right.
    private let leftColumns: Set<Int>
    private var rows: [[String]] = []

    init(_ header: [String], left: Set<Int> = [0]) {
        self.header = header
        leftColumns = left
    }

    mutating func add(_ row: [String]) {
        precondition(row.count == header.count, "a row has as many cells as the header")
        rows.append(row)
    }

    var lines: [String] {
        let all = [header] + rows
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                if column > 0 { line += "  " }
                line += leftColumns.contains(column) ? cell + padding : padding + cell
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
