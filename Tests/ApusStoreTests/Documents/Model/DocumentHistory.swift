// One random history of two collections that refer to each other, on a simulated machine, and the same history in
// plain dictionaries. Each step draws from a generator of its own, so a failing history is run again by its seed, and
// steps can be left out.

import Apus
import ApusIO
import ApusSimulation

@testable import ApusStore

struct HistoryFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

struct HistoryRandom: RandomNumberGenerator {
    let source: SeededRandom
    init(_ seed: UInt64) { source = SeededRandom(seed: seed) }
    mutating func next() -> UInt64 { source.next() }
    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}

/// Both collections at one moment.
struct ModelState: Equatable {
    var owners: ModelCollection = [:]
    var items: ModelCollection = [:]
    /// The version of the schema of the items.
    var version = 1

    func live(at time: UInt64) -> ModelState {
        ModelState(owners: owners.live(at: time), items: items.live(at: time), version: version)
    }
}

final class DocumentHistory {
    let seed: UInt64
    var random: HistoryRandom
    var machine: Simulation
    var store: Store!
    var owners: JSONDocuments!
    var items: JSONDocuments!
    var model = ModelState()
    /// What the model becomes if the step under way was committed before the machine stopped.
    var underWay: ModelState?
    let ownerAction: ReferenceAction
    let parentAction: ReferenceAction
    var indexes: [Int] = []
    private(set) var trace: [String] = []
    private let isPrinting: Bool
    private(set) var crashCount = 0

    init(seed: UInt64, isPrinting: Bool) {
        self.seed = seed
        self.isPrinting = isPrinting
        random = HistoryRandom(seed)
        machine = Simulation(seed: random.next())
        ownerAction = random.pick([.cascade, .restrict, .setNull])
        parentAction = random.pick([.cascade, .restrict, .setNull])
    }

    static func stepCount(seed: UInt64) -> Int { 40 + Int(seed % 3) * 30 }

    func note(_ text: @autoclosure () -> String) {
        let text = text()
        trace.append(text)
        if isPrinting { print(text) }
    }

    func run() throws {
        note("history \(seed): owner \(ownerAction), parent \(parentAction)")
        try open()
        for number in 0..<Self.stepCount(seed: seed) {
            random = HistoryRandom(seed &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(number) &* 0xD1B5_4A32_D192_ED03)
            do {
                try step()
            } catch let failure as HistoryFailure {
                throw failure
            } catch {
                guard machine.disk.isStopped else { throw HistoryFailure("step \(number): unexpected error: \(error)") }
            }
            if machine.disk.isStopped {
                try recover()
            } else {
                underWay = nil
                if random.chance(40) { _ = machine.scheduler.runOne() }
            }
        }
        machine.disk.removeFaults()
        if machine.disk.isStopped { try recover() }
        try items.buildIndexes()
        try check("at the end")
        try store.close()
    }

    private func step() throws {
        switch random.below(100) {
        case 0..<12: try writeOwner()
        case 12..<45: try writeItem()
        case 45..<52: try deleteItem()
        case 52..<57: try deleteOwner()
        case 57..<63: try runTransaction()
        case 63..<82: try query()
        case 82..<86: passTime()
        case 86..<90: try changeSchema()
        case 90..<93: try reopen()
        case 93..<95: crash()
        case 95..<97: armStop()
        default: try maintain()
        }
    }

    // MARK: Ends and beginnings

    var itemSchema: Schema<JSONValue> {
        var schema = Schema<JSONValue>(key: "id", .integer)
            .unique("name")
            .check("n is not negative", field("n") >= 0)
            .references("owners", by: "owner", .integer, onDelete: ownerAction)
            .references("items", by: "parent", .integer, onDelete: parentAction)
        for index in indexes {
            switch index {
            case 0: schema = schema.index(.ascending("owner", .integer), .ascending("rank"))
            case 1: schema = schema.index(.descending("rank"))
            case 2: schema = schema.index(each: "tags")
            case 3: schema = schema.index("rank", where: field("kind") == "a")
            case 4: schema = schema.index(.ascending("kind"), .descending("rank"), .ascending("name"))
            case 5: schema = schema.index(.ascending("kind"), .ascending("n"), isCovering: true)
            default: schema = schema.index(.each("tags"), .descending("n"))
            }
        }
        if model.version > 1 {
            for version in 2...model.version {
                schema = schema.migration(to: version) { document in
                    document["n"] = JSONValue((document["n"]?.integerValue ?? 0) + 1)
                    document["v"] = JSONValue(version)
                }
            }
        }
        return schema
    }

    func open() throws {
        let options = Options(memoryBudget: 1 << 20)
        store = try Store.open(at: "/db", options: options, environment: machine.environment)
        owners = try store.documents(named: "owners", schema: Schema(key: "id", .integer))
        items = try store.documents(named: "items", schema: itemSchema)
    }

    private func letGo() {
        try? store?.close()
        (owners, items, store) = (nil, nil, nil)
    }

    private func reopen() throws {
        note("reopen")
        try store.close()
        letGo()
        machine.restart()
        try open()
        try check("after reopening")
    }

    /// Another set of indexes, and sometimes another version.
    private func changeSchema() throws {
        indexes = (0..<7).filter { _ in random.chance(50) }
        let isMigrating = random.chance(40) && model.version < 5
        note("indexes \(indexes)\(isMigrating ? ", version \(model.version + 1)" : "")")
        try store.close()
        letGo()
        machine.restart()
        if isMigrating {
            model.version += 1
            for (key, item) in model.items {
                var changed = item
                changed.fields["n"] = JSONValue((item.fields["n"]?.integerValue ?? 0) + 1)
                changed.fields["v"] = JSONValue(model.version)
                changed.version += 1
                model.items[key] = changed
            }
            // The migration may be cut off; whoever opens the collection then ends it, so there is no other outcome.
            if random.chance(50) { armStop() }
        }
        try open()
        try check("with another schema")
    }

    private func crash() { machine.disk.inject(Fault(.stop)) }

    func armStop() {
        let count = random.below(40)
        note("the machine stops after \(count) changes")
        machine.disk.removeFaults()
        machine.disk.inject(Fault(.stop, skipping: count) { $0.isMutation })
    }

    private func recover() throws {
        while true {
            crashCount += 1
            letGo()
            machine.disk.removeFaults()
            let mode = random.pick(CrashMode.allCases)
            if random.chance(30) { machine.restart() } else { machine.crash(mode) }
            note("crash \(mode)")
            if random.chance(20) { armStop() }
            do {
                try open()
                machine.disk.removeFaults()
                break
            } catch {
                guard machine.disk.isStopped else { throw HistoryFailure("opening after a crash: \(error)") }
            }
        }
        if let after = underWay, try contents() == after.live(at: store.time) {
            note("the step under way survived")
            model = after
        }
        underWay = nil
        try check("after a crash")
    }

    private func passTime() {
        let milliseconds = UInt64(random.pick([1, 500, 5_000]))
        note("\(milliseconds) ms pass")
        machine.scheduler.runAll(for: milliseconds * 1_000_000)
    }

    private func maintain() throws {
        if random.chance(50) {
            note("flush")
            try store.database.flush()
        } else {
            note("build")
            try items.buildIndexes()
        }
    }

    // MARK: Comparing

    func contents() throws -> ModelState {
        let snapshot = try store.snapshot()
        defer { snapshot.release() }
        return ModelState(
            owners: try contents(of: owners, in: snapshot), items: try contents(of: items, in: snapshot),
            version: model.version)
    }

    private func contents(of documents: JSONDocuments, in snapshot: StoreSnapshot) throws -> ModelCollection {
        var found: ModelCollection = [:]
        for key in try documents.query(in: snapshot).keys() {
            guard let document = try documents.getVersioned(key, in: snapshot),
                case .object(let fields) = document.document, let number = key.integerValue
            else { throw HistoryFailure("the document \(key) cannot be read") }
            found[Int(number)] = ModelDocument(
                fields: fields, version: document.version, expiry: document.expiry ?? 0)
        }
        return found
    }

    func check(_ when: String) throws {
        let found = try contents()
        let expected = model.live(at: store.time)
        guard found == expected else {
            throw HistoryFailure("\(when): found\n\(found)\nexpected\n\(expected)")
        }
        let report = try store.verify()
        guard report.isSound else {
            throw HistoryFailure("\(when): \(report.problems.map(\.description).joined(separator: "\n"))")
        }
    }
}
