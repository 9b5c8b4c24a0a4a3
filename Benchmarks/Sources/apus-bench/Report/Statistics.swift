// Medians and spread over the repetitions of a measurement.

struct Spread: Equatable {
    var median: Double
    var lowest: Double
    var highest: Double

    /// Nil when there are no values.
    init?(_ values: [Double]) {
        let sorted = values.sorted()
        guard let first = sorted.first, let last = sorted.last else { return nil }
        let middle = sorted.count / 2
        median = sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
        lowest = first
        highest = last
    }

    /// How far the extremes are from the median, for people: "-3 +5 %".
    var description: String {
        guard median > 0 else { return "–" }
        func percent(_ value: Double) -> String { (abs(value / median - 1) * 100).formatted(fractionDigits: 0) }
        return "-\(percent(lowest)) +\(percent(highest)) %"
    }
}

extension Double {
    /// Plain decimal digits, thousands apart: 1234567.8 with no fraction digits is "1,234,568".
    func formatted(fractionDigits: Int) -> String {
        guard isFinite, magnitude < 1e15 else { return "–" }
        let scale = (0..<fractionDigits).reduce(1) { scale, _ in scale * 10 }
        let scaled = Int((magnitude * Double(scale)).rounded())
        var whole = String(scaled / scale)
        var position = whole.count - 3
        while position > 0 {
            whole.insert(",", at: whole.index(whole.startIndex, offsetBy: position))
            position -= 3
        }
        let sign = self < 0 && scaled > 0 ? "-" : ""
        guard fractionDigits > 0 else { return sign + whole }
        let fraction = String(scaled % scale)
        return sign + whole + "." + String(repeating: "0", count: fractionDigits - fraction.count) + fraction
    }

    /// About three digits: what a plot's label has room for.
    var short: String {
        switch magnitude {
        case 1e6...: (self / 1e6).threeDigits + " M"
        case 1e3...: (self / 1e3).threeDigits + " k"
        default: threeDigits
        }
    }

    private var threeDigits: String {
        formatted(fractionDigits: magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2)
    }
}
