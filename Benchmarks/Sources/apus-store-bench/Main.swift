// apus-store-bench: measures the collections of ApusStore beside what applications use in their place, on the same data,
// in one run. Suites.swift lists the suites; README.md says how to run and read it.

import ArgumentParser

@main
struct StoreBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus-store-bench",
        abstract: "Measures the collections of ApusStore beside what applications use in their place.",
        discussion: "Suites: " + suites.map { "\($0.name) (\($0.summary))" }.joined(separator: ", ") + "."
    )

    @Argument(help: "The suites to run; all of them if none is named.")
    var names: [String] = []

    @Option(help: "Only works whose name contains this text (may be repeated).")
    var work: [String] = []

    @Option(help: "Only engines whose name contains this text (may be repeated): for profiling one alone.")
    var engine: [String] = []

    @Option(help: "Runs of each engine, one after the other in turn; the median counts.")
    var repetitions = 5

    @Option(help: "Multiplies the number of documents, blobs, sessions and vectors.")
    var size = 1.0

    @Option(help: "Where the databases go: a folder on the disk that is to be measured.")
    var directory = "."

    @Flag(help: "Prints one JSON object per row instead of a table.")
    var json = false

    func validate() throws {
        for name in names where !suites.contains(where: { $0.name == name }) {
            throw ValidationError("no suite '\(name)': there are \(suites.map(\.name).joined(separator: ", "))")
        }
        guard repetitions > 0 else { throw ValidationError("--repetitions must be positive") }
        guard size > 0, size.isFinite else { throw ValidationError("--size must be positive") }
    }

    func run() throws {
        let workspace = try BenchFolder(below: directory)
        defer { workspace.remove() }
        let printer = RowPrinter(isJSON: json)
        for suite in suites where names.isEmpty || names.contains(suite.name) {
            let bench = Bench(
                suite: suite.name, repetitions: repetitions, size: size, works: work, engines: engine,
                folder: try workspace.subfolder(suite.name), report: printer.print)
            try suite.run(bench)
        }
    }
}
