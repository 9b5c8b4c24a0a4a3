// apus doc query, explain, list: documents by what is in them.

import Apus
import ApusStore
import ArgumentParser
import Foundation

private let language = """
    field == value (also != < <= > >=), field in [a, b], between a and b, contains, contains text, starts with, \
    ends with, is null; joined by and, or, not and parentheses; then, in any order: order by field desc, limit n, \
    offset n, count, distinct field, group by field: count, sum(f), avg(f), min(f), max(f). Text stands in quotation \
    marks, times and identifiers as date("2024-01-31") and id("…").
    """

struct DocQuery: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query",
        abstract: "Prints the documents that satisfy a query, one JSON object per line.",
        discussion: """
            \(language)

            count prints a number, distinct one value per line, group by one line per group. Without a query all \
            documents are printed.

            Example: apus doc query my.apus messages 'role == "user" and tokens > 100 order by time desc limit 5'
            """
    )

    @OptionGroup var docs: DocArguments
    @Argument(help: "The query; - for standard input, @FILE for a file.")
    var query = ""
    @OptionGroup var json: JSONFlag

    func run() throws {
        let text = try Content(query).text()
        let query = try docs.openForReading().query(text)
        let output = ByteOutput()
        if query.asksForDocuments {
            func write(_ document: JSONValue) throws { try output.writeLine(document.jsonText) }
            try query.forEach(write)
        } else {
            for line in try lines(query.answer()) { try output.writeLine(line) }
        }
        try output.flush()
    }

    private func lines(_ answer: QueryAnswer) -> [String] {
        switch answer {
        case .documents(let documents): documents.map(\.jsonText)
        case .count(let count): [json.isOn ? "{\"count\":\(count)}" : "\(count)"]
        case .groups(let groups): groups.map(line)
        }
    }

    private func line(_ group: DocumentGroup) -> String {
        if json.isOn {
            let object: JSONValue = ["keys": .array(group.keys), "values": .array(group.values)]
            return object.jsonText
        }
        return (group.keys + group.values).map(\.plainLine).joined(separator: "\t")
    }
}

struct DocExplain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Says which index answers a query, and what was looked at.",
        discussion: "The query is run, unless --plan-only asks for the plan alone. The language is that of query."
    )

    @OptionGroup var docs: DocArguments
    @Argument(help: "The query; - for standard input, @FILE for a file.")
    var query = ""
    @Flag(help: "Do not run the query.")
    var planOnly = false
    @OptionGroup var json: JSONFlag

    private struct Report: Encodable {
        var index: String?
        var answered: [String]
        var filter: String?
        var sorts: Bool
        var indexOnly: Bool
        var scanned: Int?
        var fetched: Int?
        var matched: Int?
    }

    func run() throws {
        let text = try Content(query).text()
        let explanation = try docs.openForReading().query(text).explain(running: !planOnly)
        guard json.isOn else { return try printLines([explanation.description]) }
        let report = Report(
            index: explanation.index, answered: explanation.answered, filter: explanation.filter,
            sorts: explanation.sorts, indexOnly: explanation.isIndexOnly, scanned: explanation.scanned,
            fetched: explanation.fetched, matched: explanation.matched)
        try printLines([jsonText(report)])
    }
}

struct DocList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists the keys of the documents, in order; apus collections lists collections."
    )

    @OptionGroup var docs: DocArguments
    @OptionGroup var limit: LimitOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        var query = try docs.openForReading().query()
        if let limit = limit.limit { query = query.limit(limit) }
        let keys = try query.keys()
        try printLines(keys.map { json.isOn ? $0.jsonText : $0.plainLine })
    }
}
