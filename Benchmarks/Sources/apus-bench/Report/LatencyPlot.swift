// Latencies as SVG: one row per engine on a logarithmic axis, a line from the median to the maximum with a mark at each
// percentile.

import Glibc

struct LatencyPlot {
    struct Row {
        var label: String
        /// p50, p99, p99.9 and the maximum, in microseconds.
        var percentiles: [Double]
        var isApus: Bool
    }

    var title: String
    var rows: [Row]

    private static let plotWidth = 250.0
    private static let axisHeight = 18.0
    /// Below this a clock tells nothing.
    private static let least = 0.01

    /// The powers of ten that hold all values.
    static func decades(_ values: [Double]) -> ClosedRange<Int> {
        let positive = values.map { max($0, least) }
        let low = Int(log10(positive.min() ?? 1).rounded(.down))
        let high = Int(log10(positive.max() ?? 1).rounded(.up))
        return low...max(high, low + 1)
    }

    static func name(ofDecade decade: Int) -> String {
        switch decade {
        case ..<0: "\(Int(pow(10, Double(decade + 3)).rounded())) ns"
        case 0..<3: "\(Int(pow(10, Double(decade)))) µs"
        case 3..<6: "\(Int(pow(10, Double(decade - 3)))) ms"
        default: "\(Int(pow(10, Double(decade - 6)))) s"
        }
    }

    var svg: String {
        let decades = Self.decades(rows.flatMap(\.percentiles))
        let (low, span) = (Double(decades.lowerBound), Double(decades.count - 1))
        let height = Double(rows.count) * BarPlot.rowHeight + Self.axisHeight + 4
        func position(_ microseconds: Double) -> Double {
            BarPlot.labelWidth + (log10(max(microseconds, Self.least)) - low) / span * Self.plotWidth
        }
        var parts = [SVG.open(width: BarPlot.width, height: height, title: title)]
        for decade in decades {
            let x = BarPlot.labelWidth + (Double(decade) - low) / span * Self.plotWidth
            parts.append(SVG.line(x1: x, y1: 0, x2: x, y2: height - Self.axisHeight, kind: "grid"))
            if decades.count <= 6 || (decade - decades.lowerBound).isMultiple(of: 2) {
                parts.append(SVG.text(Self.name(ofDecade: decade), x: x, y: height - 5, anchor: "middle", kind: "axis"))
            }
        }
        for (index, row) in rows.enumerated() {
            let y = (Double(index) + 0.5) * BarPlot.rowHeight
            let kind = row.isApus ? "apus" : "peer"
            parts.append(SVG.text(row.label, x: BarPlot.labelWidth - 10, y: y + 4, anchor: "end", kind: kind))
            guard let first = row.percentiles.first, let last = row.percentiles.last else { continue }
            parts.append(SVG.line(x1: position(first), x2: position(last), y: y, kind: kind))
            for (step, value) in row.percentiles.enumerated() {
                let isMaximum = step == row.percentiles.count - 1
                let radius = isMaximum ? 2 : 5 - Double(step)
                parts.append(SVG.dot(x: position(value), y: y, radius: radius, kind: isMaximum ? "most \(kind)" : kind))
            }
        }
        return parts.joined() + "</svg>"
    }
}
