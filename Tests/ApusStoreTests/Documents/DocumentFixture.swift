// Types and a store that the tests of documents share.

import Apus
import ApusIO
import ApusSimulation
import ApusStore
import Foundation

struct Talk: Document {
    var id = DocumentID.automatic
    var title: String
    var owner: String?

    static let schema = Schema<Talk>().unique(\.title, where: \.owner != nil)
}

struct Message: Document, Equatable {
    enum Role: String, Codable { case user, assistant, tool }

    var id = DocumentID.automatic
    var talk: DocumentID
    var role: Role
    var time: Timestamp
    var text: String
    var tags: [String] = []
    var replyTo: DocumentID?
    var score: Double?

    static let schema = Schema<Message>()
        .index(\.talk, \.time)
        .index(.ascending(\.role), .descending(\.score))
        .index(each: \.tags)
        .index(\.time, where: \.role == .tool)
        .check("text is not empty", \.text != "")
        .check("scores are fractions", \.score == nil || \.score >= 0 && \.score <= 1)
        .references(Talk.self, by: \.talk, onDelete: .cascade)
        .references(Message.self, by: \.replyTo, onDelete: .setNull)
}

/// A store on a simulated machine.
final class DocumentFixture {
    var machine: Simulation
    var store: Store
    private let options: Options

    init(seed: UInt64 = 1, options: Options = Options(memoryBudget: 1 << 20)) throws {
        machine = Simulation(seed: seed)
        self.options = options
        store = try Store.open(at: "/db", options: options, environment: machine.environment)
    }

    func reopen() throws {
        try store.close()
        machine.restart()
        store = try Store.open(at: "/db", options: options, environment: machine.environment)
    }

    /// Cuts the power, and opens the store again. What was made from the old one is good for nothing any more.
    func crash(_ mode: CrashMode = .anyNames) throws {
        machine.disk.inject(Fault(.stop))
        try? store.close()
        machine.disk.removeFaults()
        machine.crash(mode)
        store = try Store.open(at: "/db", options: options, environment: machine.environment)
    }

    func talks() throws -> Documents<Talk> { try store.documents() }

    func messages() throws -> Documents<Message> {
        _ = try talks()
        return try store.documents()
    }
}

/// A store on the real machine, in a directory that goes with it.
final class RealStore: Sendable {
    let store: Store
    private let directory: URL

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-store-\(UUID().uuidString)")
        store = try Store.open(at: directory.path)
    }

    deinit {
        try? store.close()
        try? FileManager.default.removeItem(at: directory)
    }
}

/// The error of the store that `body` throws; nil if it throws none.
func storeError<Result>(_ body: () throws -> Result) -> StoreError? {
    do {
        _ = try body()
        return nil
    } catch {
        return error as? StoreError
    }
}
