// What the agent works out about a project from its files: its parts, and what explains them.

import ApusStore

extension AgentStorage {
    /// Brings components and documentation up to date with the files of a project.
    func describe(_ project: String) throws {
        let files = try files.query().filter(\.project == project).all()
        let members = Dictionary(grouping: files) { Self.componentPath(of: $0.path, in: project) }
        var ids: [String: DocumentID] = [:]
        // The project itself comes first: it is what the others are part of.
        for path in Set(members.keys).union([project]).sorted() {
            ids[path] = try store.transaction { transaction in
                let importance = Double(members[path]?.count ?? 0) / Double(max(1, files.count))
                if let known = try components.get(by: \.path, path, in: transaction) {
                    try components.update(known.id, in: transaction) { $0.importance = importance }
                    return known.id
                }
                let component = Component(
                    path: path, name: path.split(separator: "/").last.map { String($0) } ?? path,
                    kind: path.contains("Tests") ? .test : .folder, parent: ids[project], importance: importance)
                return try components.insert(component, in: transaction)
            }
        }
        for file in files where file.language == "markdown" {
            let path = "\(project)/\(file.path)"
            if try documentation.get(by: \.path, path) != nil { continue }
            let name = file.path.split(separator: "/").last.map { String($0) } ?? file.path
            try documentation.insert(
                DocumentationFile(
                    path: path, component: ids[Self.componentPath(of: file.path, in: project)], title: name,
                    kind: name.lowercased().hasPrefix("readme") ? .readme : .other, updated: file.modified))
        }
    }

    /// The folder that a file belongs to, at most two levels deep.
    private static func componentPath(of path: String, in project: String) -> String {
        let folders = path.split(separator: "/").dropLast().prefix(2)
        return ([Substring(project)] + folders).joined(separator: "/")
    }

    /// Writes a decision down, and what it replaces as superseded.
    @discardableResult
    func decide(
        _ title: String, because reason: String, about component: DocumentID, replacing replaced: DocumentID? = nil
    ) throws -> DocumentID {
        try store.transaction { transaction in
            if let replaced { try decisions.update(replaced, in: transaction) { $0.status = .superseded } }
            let decision = Decision(
                component: component, title: title, reason: reason, status: .accepted, replaces: replaced, time: now)
            return try decisions.insert(decision, in: transaction)
        }
    }
}
