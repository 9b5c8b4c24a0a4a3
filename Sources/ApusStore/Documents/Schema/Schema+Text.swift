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
        guard let fields = json.objectValue else { throw invalid("is not an object") }
        let known: Set = [
            "version", "key", "keyKind", "indexes", "references", "checks", "timeToLive", "expiresAt",
        ]
        if let other = fields.keys.sorted().first(where: { !known.contains($0) }) {
            throw invalid("has a field \"\(other)\", which means nothing")
        }
        // What has a meaning without being said.
        var complete = json
        for (name, value): (String, JSONValue) in [("version", 1), ("key", "id"), ("keyKind", "any")]
        where complete[name] == nil {
            complete[name] = value
        }
        for name in ["indexes", "references", "checks"] {
            guard let list = fields[name] else { continue }
            guard let elements = list.arrayValue else { throw invalid("has \"\(name)\" that are no array") }
            complete[name] = .array(elements.map { Self.completing($0, of: name) })
        }
        for (index, check) in (complete["checks"]?.arrayValue ?? []).enumerated() {
            guard let condition = check["condition"]?.stringValue else {
                throw invalid("has a check without a condition: check \(index + 1)")
            }
            _ = try QueryParser.condition(condition)
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
