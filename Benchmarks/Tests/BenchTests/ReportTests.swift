// The report on a file of results that never changes: three engines at one workload, and one cold run.

import FoundationEssentials
import Testing

@testable import apus_bench

struct ReportTests {
    private let measurements: [Measurement]

    init() throws {
        measurements = try ResultFile.measurements(in: Self.fixture, name: "results.jsonl")
    }

    private static var fixture: Data {
        get throws {
            let folder = URL(filePath: #filePath).deletingLastPathComponent()
            return try Data(contentsOf: folder.appending(path: "Fixtures/results.jsonl"))
        }
    }

    @Test func everyFieldOfALineSurvivesReadingAndWriting() throws {
        let names = [
            "engine", "engine_version", "workload", "entries", "key_bytes", "value_bytes", "threads", "durability",
            "compression", "operations", "seconds", "ops_per_second", "p50_us", "p99_us", "p999_us", "max_us",
            "cpu_seconds", "write_amplification", "space_amplification", "peak_rss_bytes", "repetition",
            "settle_seconds", "pending_bytes", "machine",
        ]
        for measurement in measurements {
            let encoded = try JSONEncoder().encode(measurement)
            let text = String(decoding: encoded, as: UTF8.self)
            for name in names { #expect(text.contains("\"\(name)\":"), "\(name) is missing") }
            let again = try JSONDecoder().decode(Measurement.self, from: encoded)
            #expect(try Self.sorted(again) == Self.sorted(measurement))
        }
        #expect(measurements.last?.writeAmplification == nil)
        #expect(measurements.first?.pendingBytes == 2 << 20)
    }

    private static func sorted(_ measurement: Measurement) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        return try encoder.encode(measurement)
    }

    @Test func onlyEqualConditionsAreCompared() throws {
        let comparisons = ConditionsComparison.all(in: measurements)
        #expect(comparisons.map(\.conditions.isCold) == [false, true])
        #expect(comparisons.map { $0.workloads.map(\.workload) } == [["fillrandom"], ["readrandom@2"]])
        let fill = try #require(comparisons.first?.workloads.first)
        #expect(fill.engines.map(\.engine) == ["apus", "rocksdb", "lmdb"])
        #expect(fill.summary(of: "apus")?.speed == Spread([900_000, 1_000_000, 1_300_000]))
        #expect(fill.apusRatio(to: "rocksdb") == 4)
        #expect(fill.apusRatio(to: "lmdb") == 0.5)
        #expect(fill.apusRatio(to: "apus") == nil)
        #expect(fill.apusRatio(to: "sqlite") == nil)
        #expect(fill.summary(of: "rocksdb")?.median(\.writeAmplification) == 3)
    }

    @Test func markdownHasMediansSpreadAndRatios() {
        let text = MarkdownReport(measurements: measurements).text
        let row =
            "| fillrandom | 1,000,000 (-10 +30 %) | 250,000 (-10 +30 %) **4.00 ×** "
            + "| 2,000,000 (-10 +30 %) **0.50 ×** |"
        #expect(text.contains(row))
        #expect(text.contains("| workload | apus | rocksdb | lmdb |"))
        #expect(text.contains("Machine: Test CPU <1>, 2 cores, 8.0 GiB of memory"))
        #expect(text.contains("256 MiB: data fit the cache"))
        #expect(text.contains("11 MiB: page cache dropped"))
    }

    @Test func slowBuildsAndWarmRunsAreNamed() {
        let circumstances = Circumstances(measurements: measurements)
        #expect(circumstances.buildNotices.count == 1)
        #expect(circumstances.buildNotices[0].contains("rocksdb 7.8.3 (system package) is not an optimised build"))
        #expect(circumstances.warnings.count == 1)
        #expect(circumstances.warnings[0].contains("readrandom@2 apus"))
        #expect(circumstances.repetitions == "1 to 3")

        var optimised = measurements[1]
        optimised.engineBuild = "assertions off, CRC32C by instruction"
        #expect(Circumstances(measurements: [optimised]).buildNotices[0].contains("is an optimised build"))
        optimised.engineBuild = nil
        #expect(Circumstances(measurements: [optimised]).buildNotices[0].contains("unknown"))
    }

    @Test func pageNeedsNothingElse() {
        let page = HTMLReport(measurements: measurements).text
        for forbidden in ["<script", "http:", "https:", "@import", "url(", "<link", "<img"] {
            #expect(!page.contains(forbidden), "\(forbidden) is in the page")
        }
        #expect(page.contains("prefers-color-scheme: dark"))
        #expect(page.contains("4.00 ×"))
        #expect(page.contains("Test CPU &lt;1&gt;"))
        #expect(!page.contains("nan") && !page.contains("inf\""))
    }

    @Test func everyElementOfThePageIsClosed() {
        let page = HTMLReport(measurements: measurements).text
        for element in ["svg", "text", "table", "tr", "td", "th", "figure", "article", "section", "details", "div"] {
            let opened = page.ranges(of: "<\(element)>").count + page.ranges(of: "<\(element) ").count
            #expect(opened > 0)
            #expect(opened == page.ranges(of: "</\(element)>").count, "\(element)")
        }
    }

    @Test func damagedResultsAreRefusedByLine() throws {
        let good = try Self.fixture
        let cut = good.dropLast(100)
        #expect { try ResultFile.measurements(in: Data(cut), name: "x") } throws: {
            "\($0)".hasPrefix("line 10 of x is not a measurement")
        }
        let other = Data(#"{"engine":"apus"}"#.utf8)
        #expect { try ResultFile.measurements(in: other, name: "x") } throws: {
            "\($0)" == "line 1 of x is not a measurement of this tool: it has no 'engine_version'"
        }
        #expect(throws: BenchmarkError.self) { try ResultFile.measurements(in: Data(), name: "x") }
    }
}
