// The tables as the random operations see them: what a column may hold, and what breaks its rules. Small domains make
// collisions, and small tables make references that hit.

import ApusStore

@testable import agent

/// What a field holds, in the terms that both sides share.
enum Field: Hashable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
}

typealias Fields = [String: Field]

enum ColumnKind {
    /// An identifier of this table, or of the one named.
    case id
    case reference(to: String, isOptional: Bool)
    case text([String], isOptional: Bool)
    /// An enumeration, which the store's types cannot hold a wrong value of, but its documents without a type can.
    case choice([String])
    /// The values that are allowed lie in the middle of those that are tried.
    case integer(ClosedRange<Int64>, isOptional: Bool)
    case fraction
    case bool
    case time(isOptional: Bool)
    case strings
}

struct ColumnPlan {
    var name: String
    var kind: ColumnKind
}

struct TablePlan {
    var name: String
    /// The primary key is a name instead of an identifier.
    var hasNamedKey = false
    var columns: [ColumnPlan]

    init(_ name: String, hasNamedKey: Bool = false, _ columns: KeyValuePairs<String, ColumnKind>) {
        self.name = name
        self.hasNamedKey = hasNamedKey
        let key = ColumnPlan(name: "id", kind: hasNamedKey ? .text(["a", "b", "c", "d"], isOptional: false) : .id)
        self.columns = [key] + columns.map { ColumnPlan(name: $0.key, kind: $0.value) }
    }
}

extension ColumnKind {
    static func reference(_ table: String) -> ColumnKind { .reference(to: table, isOptional: false) }
    static func optional(_ table: String) -> ColumnKind { .reference(to: table, isOptional: true) }
    static func words(_ words: String...) -> ColumnKind { .text(words, isOptional: false) }
    static func optionalWords(_ words: String...) -> ColumnKind { .text(words, isOptional: true) }
    static func choice<Choice: RawRepresentable<String> & CaseIterable>(_ type: Choice.Type) -> ColumnKind {
        .choice(type.allCases.map(\.rawValue))
    }
    static var count: ColumnKind { .integer(-1...20, isOptional: false) }
    static var time: ColumnKind { .time(isOptional: false) }
    static let content = ColumnKind.text(
        [String(repeating: "0a", count: 32), String(repeating: "f1", count: 32)], isOptional: false)
}

enum Tables {
    static let all = [
        TablePlan(
            "Conversation",
            [
                "project": .words("p", "q"), "title": .words("a", "b", "c", "d", "e", "f"),
                "status": .choice(Conversation.Status.self), "created": .time, "updated": .time, "tokens": .count,
            ]),
        TablePlan(
            "Message",
            [
                "conversation": .reference("Conversation"), "sequence": .count, "parent": .optional("Message"),
                "role": .choice(Message.Role.self), "time": .time, "text": .words("", "hello", "größer", "z'\"\\"),
                "tokens": .count, "model": .optionalWords("m1", "m2"),
            ]),
        TablePlan(
            "ToolCall",
            [
                "message": .reference("Message"), "position": .integer(-1...3, isOptional: false),
                "tool": .words("search", "edit"), "arguments": .words("{}", "[1]"),
                "result": .optionalWords("ok", "no"),
                "status": .choice(ToolCall.Status.self), "started": .time,
                "milliseconds": .integer(-1...20, isOptional: true),
            ]),
        TablePlan(
            "Attachment",
            [
                "message": .reference("Message"), "name": .words("", "a", "b"),
                "mediaType": .words("text/plain", "image/png"), "content": .content, "byteCount": .count,
            ]),
        TablePlan(
            "Compaction",
            [
                "conversation": .reference("Conversation"), "lastSequence": .integer(-1...5, isOptional: false),
                "summary": .words("s", "t"), "tokensBefore": .count, "tokensAfter": .count, "time": .time,
            ]),
        TablePlan(
            "Component",
            [
                "path": .words("a", "a/b", "a/c", "b", "c", "d"), "name": .words("", "x", "y"),
                "kind": .choice(Component.Kind.self), "parent": .optional("Component"),
                "purpose": .optionalWords("why", "how"), "importance": .fraction,
            ]),
        TablePlan(
            "DocumentationFile",
            [
                "path": .words("a", "b", "c", "d", "e"), "component": .optional("Component"), "title": .words("x", "y"),
                "kind": .choice(DocumentationFile.Kind.self), "updated": .time,
            ]),
        TablePlan(
            "Decision",
            [
                "component": .reference("Component"), "title": .words("x", "y"), "reason": .words("", "r", "s"),
                "status": .choice(Decision.Status.self), "replaces": .optional("Decision"), "time": .time,
                "tags": .strings,
            ]),
        TablePlan(
            "SuccessPattern",
            [
                "name": .words("a", "b", "c", "d", "e", "f"), "description": .words("x"), "successes": .count,
                "failures": .count, "confidence": .fraction, "lastUsed": .time(isOptional: true),
            ]),
        TablePlan(
            "EffectivenessFeedback",
            [
                "pattern": .reference("SuccessPattern"), "rating": .integer(0...6, isOptional: false),
                "comment": .optionalWords("good", "bad"), "time": .time,
            ]),
        TablePlan(
            "SourceFile",
            [
                "path": .words("", "a.c", "b.c", "c.h", "d.h", "e.swift"), "project": .words("p", "q"),
                "language": .words("c", "swift"), "content": .content, "byteCount": .count, "lineCount": .count,
                "modified": .time, "indexed": .time,
            ]),
        TablePlan(
            "Relationship",
            [
                "source": .reference("SourceFile"), "target": .reference("SourceFile"),
                "kind": .choice(Relationship.Kind.self), "strength": .fraction,
            ]),
        TablePlan(
            "FileChange",
            [
                "file": .reference("SourceFile"), "kind": .choice(FileChange.Kind.self), "time": .time,
                "linesAdded": .count, "linesRemoved": .count,
            ]),
        TablePlan(
            "AccessPattern",
            [
                "file": .reference("SourceFile"), "session": .words("s", "t"), "reads": .count, "writes": .count,
                "last": .time,
            ]),
        TablePlan(
            "RelevanceScore",
            [
                "file": .reference("SourceFile"), "topic": .words("x", "y"), "score": .fraction, "computed": .time,
            ]),
        TablePlan(
            "RelevanceFeedback",
            [
                "file": .reference("SourceFile"), "question": .words("", "x", "y"), "isRelevant": .bool,
                "source": .choice(RelevanceFeedback.Source.self), "time": .time,
            ]),
        TablePlan(
            "Snippet",
            [
                "file": .reference("SourceFile"), "firstLine": .integer(0...6, isOptional: false), "lastLine": .count,
                "kind": .choice(Snippet.Kind.self), "text": .words("", "x", "y"),
            ]),
        TablePlan(
            "SearchIndex", hasNamedKey: true,
            [
                "model": .words("m", "n"), "dimension": .integer(0...8193, isOptional: false),
                "metric": .choice(SearchIndex.Metric.self), "updated": .time,
            ]),
        TablePlan(
            "EmbeddingRecord",
            ["snippet": .reference("Snippet"), "index": .reference("SearchIndex"), "made": .time]),
    ]

    static func named(_ name: String) -> TablePlan {
        all.first { $0.name == name }!
    }
}
