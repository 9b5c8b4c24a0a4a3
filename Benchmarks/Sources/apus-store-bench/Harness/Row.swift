// What one engine did in one work, and how it is printed.

import FoundationEssentials

struct Row: Codable {
    var suite: String
    var work: String
    var engine: String
    /// In one run.
    var operations: Int
    /// Of the median run.
    var seconds: Double
    /// How many times as fast, per operation, the first engine of the work is as this one: 1 for itself.
    var ratio: Double
    /// What `ratio` has to be at least.
    var target: Double?
    /// What else was measured: bytes, recall, …; medians too.
    var figures: [String: Double]
}

/// Prints rows as they come: lines of a table, or one JSON object per line.
struct RowPrinter {
    let isJSON: Bool

    func print(_ row: Row) {
        Swift.print(isJSON ? Self.json(row) : Self.line(row))
    }

    private static func json(_ row: Row) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        guard let data = try? encoder.encode(row) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }

    private static func line(_ row: Row) -> String {
        let rate = row.seconds > 0 ? Double(row.operations) / row.seconds : 0
        var line = pad("\(row.suite): \(row.work)", 66) + pad(row.engine, 22)
        line += pad(right: rounded(rate, rate < 100 ? 1 : 0), 12) + "/s"
        line += pad(right: rounded(row.seconds * 1e6 / Double(max(row.operations, 1)), 2), 13) + " µs"
        line += pad(right: rounded(row.ratio, 2), 9) + " x"
        if let target = row.target {
            line += " (at least \(rounded(target, 2)): \(row.ratio >= target ? "holds" : "MISSED"))"
        }
        for (name, value) in row.figures.sorted(by: { $0.key < $1.key }) { line += "  \(name) \(rounded(value, 4))" }
        return line
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    private static func pad(right text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }

    private static func rounded(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return "\(value)" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        guard value.magnitude < 1e15 else { return "\(value)" }
        let scaled = Int((value.magnitude * scale).rounded())
        let whole = scaled / Int(scale)
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(whole)" }
        let fraction = String(scaled % Int(scale))
        return "\(sign)\(whole).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
    }
}
