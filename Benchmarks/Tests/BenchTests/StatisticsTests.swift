// Medians, spread, numbers for people, and the axes of plots.

import Testing

@testable import apus_bench

struct StatisticsTests {
    @Test func mediansOfOddAndEvenCounts() {
        #expect(Spread([3, 1, 2])?.median == 2)
        #expect(Spread([4, 1, 2, 3])?.median == 2.5)
        #expect(Spread([5])?.lowest == 5)
        #expect(Spread([]) == nil)
    }

    @Test func spreadIsRelativeToTheMedian() {
        #expect(Spread([90, 100, 130])?.description == "-10 +30 %")
        #expect(Spread([0, 0])?.description == "–")
    }

    @Test(arguments: [
        (1_234_567.8, 0, "1,234,568"), (999.5, 0, "1,000"), (0.005, 2, "0.01"), (-1_000, 1, "-1,000.0"),
        (-0.001, 1, "0.0"), (.infinity, 2, "–"), (.nan, 0, "–"), (1.05, 3, "1.050"),
    ])
    func numbersHaveTheirDigits(value: Double, digits: Int, text: String) {
        #expect(value.formatted(fractionDigits: digits) == text)
    }

    @Test(arguments: [(0.5, "0.50"), (12.34, "12.3"), (1_234, "1.23 k"), (2_500_000, "2.50 M"), (123_456, "123 k")])
    func shortNumbersHaveThreeDigits(value: Double, text: String) {
        #expect(value.short == text)
    }

    @Test func decadesHoldAllLatencies() {
        #expect(LatencyPlot.decades([0.8, 5_000]) == -1...4)
        #expect(LatencyPlot.decades([1, 1]) == 0...1)
        #expect(LatencyPlot.decades([0]) == -2...(-1))
        #expect(
            (-2...6).map(LatencyPlot.name) == [
                "10 ns", "100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s",
            ])
    }

    @Test func barsEndWhereTheirValuesAre() {
        let plot = BarPlot(
            title: "a < b",
            bars: [
                BarPlot.Bar(label: "apus", value: 100, isApus: true),
                BarPlot.Bar(label: "peer", value: 50, range: 40...60),
            ]
        )
        #expect(plot.svg.contains("<title>a &lt; b</title>"))
        #expect(plot.svg.contains(#"<rect class="apus" x="118" y="4" width="150" height="12" rx="2"/>"#))
        #expect(plot.svg.contains(#"<rect class="peer" x="118" y="24" width="75" height="12" rx="2"/>"#))
        #expect(plot.svg.contains(#"<line class="whisker" x1="178" y1="30" x2="208" y2="30"/>"#))
        #expect(BarPlot(title: "", bars: []).svg.hasSuffix("</svg>"))
    }

    @Test func tablesAreAligned() {
        #expect(SummaryTable.aligned([["a", "1"], ["bcd", "234"]]) == ["a      1", "bcd  234"])
    }
}
