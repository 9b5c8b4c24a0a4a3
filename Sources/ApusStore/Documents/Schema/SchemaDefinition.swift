// What a collection of documents declares, without the Swift type it may have been declared with. It lies in the
// catalogue as JSON text, so that whoever opens the collection (the command line, the deletion of a referenced
// document) keeps the same rules.

import Apus

/// One field of an index.
struct IndexComponent: Sendable, Hashable {
    var path: FieldPath
    var kind: FieldKind
    var isDescending = false
    /// The field is an array, and each of its elements is an entry.
    var isEach = false
}

struct IndexDefinition: Sendable, Hashable {
    var components: [IndexComponent]
    var isUnique = false
    /// Only documents that satisfy it have entries.
    var condition: Expression = .always
    /// Entries hold the documents themselves.
    var isCovering = false

    /// What people call it: `conversation, time desc`.
    var name: String {
        var text = components.map { component in
            (component.isEach ? "each " : "") + "\(component.path)" + (component.isDescending ? " desc" : "")
        }.joined(separator: ", ")
        if condition != .always { text += " where \(condition)" }
        return isUnique ? "unique \(text)" : text
    }
}

/// What happens to a document when the document that it refers to is deleted.
public enum ReferenceAction: String, Sendable, Hashable {
    /// It is deleted too.
    case cascade
    /// The deletion fails as long as there is such a document.
    case restrict
    /// Its reference becomes null.
    case setNull
}

struct ReferenceDefinition: Sendable, Hashable {
    var path: FieldPath
    var kind: FieldKind
    /// The name of the collection referred to.
    var target: String
    var action: ReferenceAction
}

struct CheckDefinition: Sendable, Hashable {
    var name: String
    var condition: Expression
}

struct SchemaDefinition: Sendable, Hashable {
    var version: UInt64 = 1
    var key = FieldPath("id")
    var keyKind = FieldKind.any
    var indexes: [IndexDefinition] = []
    var references: [ReferenceDefinition] = []
    var checks: [CheckDefinition] = []
    /// How long after its last write a document expires.
    var timeToLive: UInt64?
    /// The field that says when.
    var expiryPath: FieldPath?

    /// Every index, those of the references included where none serves them.
    var allIndexes: [IndexDefinition] {
        var all = indexes
        for reference in references {
            let isServed = all.contains { index in
                index.condition == .always && index.components[0].path == reference.path
                    && !index.components[0].isEach && !index.isUnique
            }
            if !isServed {
                all.append(IndexDefinition(components: [IndexComponent(path: reference.path, kind: reference.kind)]))
            }
        }
        return all
    }

    var mayExpire: Bool { timeToLive != nil || expiryPath != nil }

    /// What the declarations say of a field.
    func kind(of path: FieldPath) -> FieldKind {
        if path == key { return keyKind }
        for index in indexes {
            for component in index.components where component.path == path { return component.kind }
        }
        return references.first { $0.path == path }?.kind ?? (path == expiryPath ? .date : .any)
    }
}

// MARK: - Settled

extension SchemaDefinition {
    /// Brings the constants of conditions to the kinds of their fields, as those of queries are and the values of
    /// documents, and makes sure that conditions are what the catalogue will say.
    mutating func settle() throws(StoreError) {
        let unsettled = self
        func settled(_ condition: Expression) throws(StoreError) -> Expression {
            let text = "\(condition)"
            let converted = try condition.mapConstants { (path, value) throws(StoreError) in
                value.converted(to: unsettled.kind(of: path)) ?? value
            }
            guard let parsed = try? QueryParser.condition("\(converted)"), parsed == converted else {
                throw StoreError(
                    .invalidArgument,
                    "a condition of a schema compares with single values other than NaN, and nests at "
                        + "most \(QueryParser.nestingLimit) levels deep, unlike \(text.prefix(200))")
            }
            return parsed
        }
        for index in indexes.indices { indexes[index].condition = try settled(indexes[index].condition) }
        for index in checks.indices { checks[index].condition = try settled(checks[index].condition) }
        for path in paths where path.names.contains(where: \.isEmpty) || FieldPath(path.description) != path {
            throw StoreError(.invalidArgument, "a field has a name, without dots", field: path.description)
        }
    }

    /// Every field that the schema names.
    var paths: Set<FieldPath> {
        var paths = checks.reduce(into: Set([key])) { $0.formUnion($1.condition.paths) }
        for index in allIndexes {
            paths.formUnion(index.components.map(\.path))
            paths.formUnion(index.condition.paths)
        }
        paths.formUnion(references.map(\.path))
        if let path = expiryPath { paths.insert(path) }
        return paths
    }
}

// MARK: - In the catalogue

extension SchemaDefinition {
    /// FORMAT.md §8.4
    var encoded: [UInt8] { Array(json.jsonText.utf8) }

    private var json: JSONValue {
        var fields: [String: JSONValue] = [
            "version": JSONValue(version), "key": .string(key.description), "keyKind": .string(keyKind.rawValue),
        ]
        if !indexes.isEmpty { fields["indexes"] = .array(indexes.map(\.json)) }
        if !references.isEmpty {
            fields["references"] = .array(
                references.map {
                    [
                        "field": .string($0.path.description), "kind": .string($0.kind.rawValue),
                        "collection": .string($0.target), "onDelete": .string($0.action.rawValue),
                    ]
                })
        }
        if !checks.isEmpty {
            fields["checks"] = .array(
                checks.map { ["name": .string($0.name), "condition": .string("\($0.condition)")] })
        }
        fields["timeToLive"] = timeToLive.map { JSONValue($0) }
        fields["expiresAt"] = expiryPath.map { .string($0.description) }
        return .object(fields)
    }

    init(encoded bytes: [UInt8], of collection: String) throws(StoreError) {
        guard let text = String(validating: bytes, as: UTF8.self), let json = try? JSONValue(parsing: text),
            let definition = SchemaDefinition(json)
        else {
            throw StoreError(.corruption, "the schema in the catalogue is damaged", collection: collection)
        }
        self = definition
    }

    private init?(_ json: JSONValue) {
        guard let version = json["version"]?.integerValue, version > 0, let key = json["key"]?.stringValue,
            let keyKind = json["keyKind"]?.stringValue.flatMap({ FieldKind(rawValue: $0) })
        else { return nil }
        self.version = UInt64(version)
        self.key = FieldPath(key)
        self.keyKind = keyKind
        for index in json["indexes"]?.arrayValue ?? [] {
            guard let index = IndexDefinition(index) else { return nil }
            indexes.append(index)
        }
        for reference in json["references"]?.arrayValue ?? [] {
            guard let field = reference["field"]?.stringValue, let target = reference["collection"]?.stringValue,
                let kind = reference["kind"]?.stringValue.flatMap({ FieldKind(rawValue: $0) }),
                let action = reference["onDelete"]?.stringValue.flatMap({ ReferenceAction(rawValue: $0) })
            else { return nil }
            references.append(
                ReferenceDefinition(path: FieldPath(field), kind: kind, target: target, action: action))
        }
        for check in json["checks"]?.arrayValue ?? [] {
            guard let name = check["name"]?.stringValue, let text = check["condition"]?.stringValue,
                let condition = try? QueryParser.condition(text)
            else { return nil }
            checks.append(CheckDefinition(name: name, condition: condition))
        }
        timeToLive = json["timeToLive"]?.integerValue.flatMap { UInt64(exactly: $0) }
        expiryPath = json["expiresAt"]?.stringValue.map { FieldPath($0) }
    }
}

extension IndexDefinition {
    var json: JSONValue {
        var fields: [String: JSONValue] = [
            "fields": .array(
                components.map { component in
                    var field: [String: JSONValue] = [
                        "path": .string(component.path.description), "kind": .string(component.kind.rawValue),
                    ]
                    if component.isDescending { field["descending"] = true }
                    if component.isEach { field["each"] = true }
                    return .object(field)
                })
        ]
        if isUnique { fields["unique"] = true }
        if isCovering { fields["covering"] = true }
        if condition != .always { fields["where"] = .string("\(condition)") }
        return .object(fields)
    }

    init?(_ json: JSONValue) {
        components = []
        for field in json["fields"]?.arrayValue ?? [] {
            guard let path = field["path"]?.stringValue,
                let kind = field["kind"]?.stringValue.flatMap({ FieldKind(rawValue: $0) })
            else { return nil }
            components.append(
                IndexComponent(
                    path: FieldPath(path), kind: kind, isDescending: field["descending"]?.boolValue ?? false,
                    isEach: field["each"]?.boolValue ?? false))
        }
        guard !components.isEmpty else { return nil }
        isUnique = json["unique"]?.boolValue ?? false
        isCovering = json["covering"]?.boolValue ?? false
        if let text = json["where"]?.stringValue {
            guard let condition = try? QueryParser.condition(text) else { return nil }
            self.condition = condition
        }
    }
}
