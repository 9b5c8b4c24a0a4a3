// agent decide, stats: what is known of a project.

import ApusStore
import ArgumentParser

struct Decide: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes down a decision about a component, or prints those that hold.")

    @Argument(help: "What was decided; without it the decisions that hold are printed.")
    var title: String?
    @Option(help: "Why.")
    var because = ""
    @Option(help: "The path of the component, as agent stats prints it.")
    var component: String?
    @Option(help: "The decision that this one replaces.")
    var replaces: String?
    @OptionGroup var options: StoreOption

    func run() throws {
        try options.withStorage { storage in
            guard let title else {
                let holding = storage.decisions.query().filter(\.status == .accepted)
                    .sorted(by: \.time, .descending)
                for decision in try holding.all() { print("\(decision.id)  \(decision.title): \(decision.reason)") }
                return
            }
            let path = try component ?? storage.currentProject(of: options.user)
            guard let found = try storage.components.get(by: \.path, path) else {
                throw ValidationError("There is no component \"\(path)\".")
            }
            let replaced = replaces.flatMap { DocumentID($0) }
            if replaces != nil, replaced == nil {
                throw ValidationError("--replaces takes the identifier of a decision.")
            }
            print(try storage.decide(title, because: because, about: found.id, replacing: replaced))
        }
    }
}

struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Prints how much there is of everything.")

    @OptionGroup var options: StoreOption

    func run() throws {
        try options.withStorage { storage in
            let snapshot = try storage.store.snapshot()
            for name in try storage.store.documentCollectionNames() {
                print("\(try storage.store.documents(named: name).query(in: snapshot).count())\t\(name)")
            }
            for index in try storage.searchIndexes.query(in: snapshot).all() {
                let vectors = try storage.store.vectors(named: index.id)
                print("\(try vectors.count(in: snapshot))\tvectors of \(index.model), \(index.dimension) elements each")
            }
            print("\(try storage.sessions.recent(limit: .max, in: snapshot).count)\tsessions")
            let blobs = try storage.blobs.statistics(in: snapshot)
            print(
                "\(blobs.blobs)\tblobs, \(blobs.contentBytes) bytes in \(blobs.storedBytes), each chunk kept once")
            for language in try storage.files.query(in: snapshot).grouped(
                by: \.language, computing: .count, .sum(\.lineCount))
            {
                let name = language.key.stringValue ?? ""
                print("\(language.values[0].jsonText)\tfiles of \(name), \(language.values[1].jsonText) lines")
            }
            let components = storage.components.query(in: snapshot).sorted(by: \.importance, .descending).limit(10)
            for component in try components.all() {
                print("\(Int((100 * component.importance).rounded()))\t% of the files in \(component.path)")
            }
        }
    }
}
