// Schemas as JSON text, for documents without a type: the form in which the catalogue keeps them, and in which people
// write them for the command line.

import Apus

extension Schema where Root == JSONValue {
    /// A schema from JSON text, as `JSONDocuments.schemaText` gives it:
    ///
    /// ```json
    /// {
    ///   "key": "id", "keyKind": "any", "version": 1,
    ///   "indexes": [{"fields": [{"path": "owner"}, {"path": "time", "descending": true}], "unique": false}],
    ///   "references": [{"field": "owner", "collection": "people", "onDelete": "cascade"}],
    ///   "checks": [{"name": "there is a title", "condition": "title != ''"}]
    /// }
    /// ```
    /// Every field may be left out.
    /// - Throws: `StoreError` with `invalidArgument` that says what cannot be understood.
    public init(parsing text: String) throws(StoreError) {
        func invalid(_ message: String) -> StoreError { StoreError(.invalidArgument, "the schema \(message)") }
        let json: JSONValue
        do throws(JSONTextError) {
            json = try JSONValue(parsing: text)
        } catch {
            throw invalid("is no JSON: \(error)")
        }
        try SchemaText.check(json)
        // What has a meaning without being said.
        var complete = json
        for (name, value): (String, JSONValue) in [("version", 1), ("key", "id"), ("keyKind", "any")]
        where complete[name] == nil {
            complete[name] = value
        }
        for name in ["indexes", "references", "checks"] {
            guard let elements = json[name]?.arrayValue else { continue }
            complete[name] = .array(elements.map { Self.completing($0, of: name) })
        }
        for (index, check) in (complete["checks"]?.arrayValue ?? []).enumerated() {
            guard let condition = check["condition"]?.stringValue else {
                throw invalid("has a check without a condition: check \(index + 1)")
            }
            _ = try QueryParser.condition(condition)
        }
        for index in complete["indexes"]?.arrayValue ?? [] {
            if let condition = index["where"]?.stringValue { _ = try QueryParser.condition(condition) }
        }
        guard let definition = try? SchemaDefinition(encoded: Array(complete.jsonText.utf8), of: "") else {
            throw invalid(
                "cannot be understood: kinds are \(FieldKind.allCases.map(\.rawValue).joined(separator: ", ")); "
                    + "onDelete is cascade, restrict or setNull; indexes have fields with a path")
        }
        self.init()
        self.definition = definition
    }

    /// An index, reference or check with what may be left out.
    private static func completing(_ element: JSONValue, of list: String) -> JSONValue {
        var element = element
        func complete(_ value: inout JSONValue, _ name: String, _ default: JSONValue) {
            if value.objectValue != nil, value[name] == nil { value[name] = `default` }
        }
        switch list {
        case "indexes":
            guard let fields = element["fields"]?.arrayValue else { return element }
            element["fields"] = .array(
                fields.map { field in
                    var field = field
                    if case .string = field { field = ["path": field] }
                    complete(&field, "kind", "any")
                    return field
                })
        case "references":
            complete(&element, "kind", "any")
            complete(&element, "onDelete", "restrict")
        default:
            if let condition = element["condition"] { complete(&element, "name", condition) }
        }
        return element
    }
}

/// What the fields of a schema in text have to be. What is none of them, or of another form, says something that would
/// be lost.
private enum SchemaText {
    private enum Form: String {
        case text = "text"
        case flag = "true or false"
        case count = "a whole number above 0"
        case list = "an array"

        func fits(_ value: JSONValue) -> Bool {
            switch self {
            case .text: value.stringValue != nil
            case .flag: value.boolValue != nil
            case .count: (value.integerValue ?? 0) > 0
            case .list: value.arrayValue != nil
            }
        }
    }

    static func check(_ schema: JSONValue) throws(StoreError) {
        guard schema.objectValue != nil else { throw StoreError(.invalidArgument, "the schema is not an object") }
        try check(
            schema,
            [
                "version": .count, "key": .text, "keyKind": .text, "indexes": .list, "references": .list,
                "checks": .list, "timeToLive": .count, "expiresAt": .text,
            ])
        for index in schema["indexes"]?.arrayValue ?? [] {
            try check(index, ["fields": .list, "unique": .flag, "covering": .flag, "where": .text])
            for field in index["fields"]?.arrayValue ?? [] where field.objectValue != nil {
                try check(field, ["path": .text, "kind": .text, "descending": .flag, "each": .flag])
            }
        }
        for reference in schema["references"]?.arrayValue ?? [] {
            try check(reference, ["field": .text, "kind": .text, "collection": .text, "onDelete": .text])
        }
        for check in schema["checks"]?.arrayValue ?? [] {
            try self.check(check, ["name": .text, "condition": .text])
        }
    }

    private static func check(_ part: JSONValue, _ forms: [String: Form]) throws(StoreError) {
        for (name, value) in (part.objectValue ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard let form = forms[name] else {
                throw StoreError(.invalidArgument, "the schema has a field \"\(name)\", which means nothing")
            }
            guard form.fits(value) else {
                throw StoreError(.invalidArgument, "the schema has \"\(name)\" that is not \(form.rawValue)")
            }
        }
    }
}
