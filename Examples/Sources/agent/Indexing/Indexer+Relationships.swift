// What files say of each other: C sources name what they include, and tests are called after what they test.

import Apus
import ApusStore

extension Indexer {
    /// Finds relationships between the project's files anew. Returns how many there are.
    func relate() throws -> Int {
        let files = try storage.files.query().filter(\.project == project).all()
        let byPath = Dictionary(files.map { ($0.path, $0.id) }) { first, _ in first }
        let byName = Dictionary(grouping: files) { Self.name(of: $0.path) }
        var count = 0
        for file in files {
            var found: [(DocumentID, Relationship.Kind)] = []
            if ["c", "c++"].contains(file.language), let bytes = try storage.blobs.get(file.content) {
                let folder = file.path.split(separator: "/").dropLast().joined(separator: "/")
                for include in Self.includes(in: String(decoding: bytes, as: UTF8.self)) {
                    let beside = folder.isEmpty ? include : "\(folder)/\(include)"
                    if let target = byPath[include] ?? byPath[beside] { found.append((target, .includes)) }
                }
            }
            let name = Self.name(of: file.path)
            if name.hasSuffix("Tests") {
                found += (byName[String(name.dropLast(5))] ?? []).map { ($0.id, .tests) }
            }
            count += try replaceRelationships(of: file.id, by: found)
        }
        return count
    }

    private func replaceRelationships(
        of file: DocumentID, by found: [(target: DocumentID, kind: Relationship.Kind)]
    ) throws -> Int {
        var seen: Set<DocumentID> = [file]
        let new = found.filter { seen.insert($0.target).inserted }
        return try storage.store.transaction(durability: .relaxed) { transaction in
            let old = try storage.relationships.query(in: transaction).filter(\.source == file).all()
            if old.map(\.target) == new.map(\.target) { return old.count }
            try storage.relationships.query(in: transaction).filter(\.source == file).delete()
            for relation in new {
                try storage.relationships.insert(
                    Relationship(source: file, target: relation.target, kind: relation.kind), in: transaction)
            }
            return new.count
        }
    }

    /// `FileTests` of `Tests/FileTests.swift`.
    static func name(of path: String) -> String {
        let last = path.split(separator: "/").last ?? ""
        return String(last.prefix { $0 != "." })
    }

    /// What stands between the brackets or quotation marks of `#include`.
    static func includes(in text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            let line = line.drop(while: \.isWhitespace)
            guard line.first == "#" else { return nil }
            let directive = line.dropFirst().drop(while: \.isWhitespace)
            guard directive.hasPrefix("include") else { return nil }
            let name = directive.drop { $0 != "<" && $0 != "\"" }.dropFirst().prefix { $0 != ">" && $0 != "\"" }
            return name.isEmpty ? nil : String(name)
        }
    }
}
