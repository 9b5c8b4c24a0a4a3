// Horizontal bars as SVG: one per engine, its name before it and its value behind it. Colours come from the page.

struct BarPlot {
    struct Bar {
        var label: String
        var value: Double
        /// From the slowest to the fastest run.
        var range: ClosedRange<Double>?
        /// Behind the value.
        var remark = ""
        var isApus = false
    }

    var title: String
    var bars: [Bar]
    /// What a value is written as.
    var format: (Double) -> String = \.short

    static let width = 400.0
    static let rowHeight = 20.0
    static let labelWidth = 118.0
    private static let barWidth = 150.0

    var svg: String {
        let largest = bars.map { max($0.value, $0.range?.upperBound ?? 0) }.max() ?? 0
        let height = Double(bars.count) * Self.rowHeight + 4
        var parts = [SVG.open(width: Self.width, height: height, title: title)]
        for (index, bar) in bars.enumerated() {
            let middle = (Double(index) + 0.5) * Self.rowHeight
            func position(_ value: Double) -> Double {
                Self.labelWidth + (largest > 0 ? value / largest * Self.barWidth : 0)
            }
            let kind = bar.isApus ? "apus" : "peer"
            parts.append(SVG.text(bar.label, x: Self.labelWidth - 6, y: middle + 4, anchor: "end", kind: kind))
            parts.append(
                SVG.rectangle(
                    x: Self.labelWidth,
                    y: middle - 6,
                    width: max(1, position(bar.value) - Self.labelWidth),
                    height: 12,
                    kind: kind
                )
            )
            if let range = bar.range, range.lowerBound < range.upperBound {
                parts.append(
                    SVG.line(x1: position(range.lowerBound), x2: position(range.upperBound), y: middle, kind: "whisker")
                )
            }
            let end = position(max(bar.value, bar.range?.upperBound ?? 0))
            let text = [format(bar.value), bar.remark].filter { !$0.isEmpty }.joined(separator: " · ")
            parts.append(SVG.text(text, x: end + 6, y: middle + 4, anchor: "start", kind: kind))
        }
        return parts.joined() + "</svg>"
    }
}

/// Pieces of SVG.
enum SVG {
    static func open(width: Double, height: Double, title: String) -> String {
        "<svg viewBox=\"0 0 \(number(width)) \(number(height))\" width=\"\(number(width))\" "
            + "height=\"\(number(height))\" role=\"img\"><title>\(HTML.escaped(title))</title>"
    }

    static func text(_ text: String, x: Double, y: Double, anchor: String, kind: String) -> String {
        "<text class=\"\(kind)\" x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"\(anchor)\">"
            + "\(HTML.escaped(text))</text>"
    }

    static func rectangle(x: Double, y: Double, width: Double, height: Double, kind: String) -> String {
        "<rect class=\"\(kind)\" x=\"\(number(x))\" y=\"\(number(y))\" width=\"\(number(width))\" "
            + "height=\"\(number(height))\" rx=\"2\"/>"
    }

    static func line(x1: Double, x2: Double, y: Double, kind: String) -> String {
        line(x1: x1, y1: y, x2: x2, y2: y, kind: kind)
    }

    static func line(x1: Double, y1: Double, x2: Double, y2: Double, kind: String) -> String {
        "<line class=\"\(kind)\" x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\"/>"
    }

    static func dot(x: Double, y: Double, radius: Double, kind: String) -> String {
        "<circle class=\"\(kind)\" cx=\"\(number(x))\" cy=\"\(number(y))\" r=\"\(number(radius))\"/>"
    }

    /// At most one digit behind the point.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return "0" }
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(Double(tenths) / 10)"
    }
}

enum HTML {
    static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
