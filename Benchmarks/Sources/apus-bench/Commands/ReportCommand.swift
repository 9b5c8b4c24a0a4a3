// apus-bench report: turns files of measurements into a page with plots and into Markdown.

import ArgumentParser
import FoundationEssentials

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Turns results into one self-contained HTML page and a Markdown table."
    )

    @Argument(help: "Files that `run --json` wrote.")
    var results: [String]

    @Option(help: "File to write the HTML page to.")
    var html: String?

    @Option(help: "File to write the Markdown to; without --html and --markdown it is printed.")
    var markdown: String?

    func run() throws {
        let measurements = try results.flatMap { try ResultFile.measurements(in: $0) }
        if let html { try write(HTMLReport(measurements: measurements).text, to: html) }
        if let markdown { try write(MarkdownReport(measurements: measurements).text, to: markdown) }
        if html == nil && markdown == nil { print(MarkdownReport(measurements: measurements).text, terminator: "") }
    }

    private func write(_ text: String, to path: String) throws {
        do {
            try Data(text.utf8).write(to: URL(filePath: path))
        } catch {
            throw BenchmarkError("cannot write \(path)")
        }
    }
}
