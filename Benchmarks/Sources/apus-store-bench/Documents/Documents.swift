// Documents beside SQLite and GRDB: the same messages, indexes, rules, memory for caches and durability. Databases are
// filled once; every run of a work takes messages, or conversations, that no run before it took.

import Dispatch

private struct DocumentWorks {
    let bench: Bench
    let engines: [any MessageEngine]
    let conversations: Int
    let loaded: Int

    /// Numbers of messages that no engine has yet; each engine is given the same ones.
    private func fresh(_ run: Int, _ part: Int, _ count: Int) -> Int { loaded + (run * 8 + part) * count * 2 }

    private func contenders(
        _ targets: [String: Double], only names: Set<String>? = nil,
        _ body: @escaping (any MessageEngine, Int) throws -> Int
    ) -> [Contender] {
        engines.filter { names?.contains($0.name) ?? true }.map { engine in
            Contender(engine.name, target: targets[engine.name], prepare: { _ in BenchFolder.synchronize() }) { run in
                try body(engine, run)
            }
        }
    }

    func writes() throws {
        let batches = bench.scaled(50)
        try bench.compare(
            "insert, 100 per transaction, durable",
            prepared(["SQLite": 5], part: 0, count: batches * 100) { engine, messages in
                for start in stride(from: 0, to: messages.count, by: 100) {
                    try engine.insert(messages[start..<(start + 100)])
                }
            })
        let singles = bench.scaled(2000)
        try bench.compare(
            "insert singly, durable",
            prepared(["SQLite": 1.4], part: 1, count: singles) { engine, messages in
                for message in messages { try engine.insert(message, durable: true) }
            })
        try bench.compare(
            "update one, durable",
            contenders(["SQLite": 1.4]) { engine, run in
                var random = Random(seed: UInt64(run) + 1)
                for _ in 0..<singles {
                    try engine.update(Messages.messageKey(random.next(below: loaded)), tokens: random.next(below: 4096))
                }
                return singles
            })
    }

    /// The messages are made before the time runs.
    private func prepared(
        _ targets: [String: Double], part: Int, count: Int,
        _ body: @escaping (any MessageEngine, [MessageData]) throws -> Void
    ) -> [Contender] {
        engines.map { engine in
            var messages: [MessageData] = []
            return Contender(
                engine.name, target: targets[engine.name],
                prepare: { run in
                    let start = fresh(run, part, bench.scaled(50) * 100)
                    messages = (start..<(start + count)).map { Messages.message($0, conversations: conversations) }
                    BenchFolder.synchronize()
                }
            ) { _ in
                try body(engine, messages)
                return messages.count
            }
        }
    }

    /// Every message is read once, so that what is measured is not the disk.
    func warmUp() throws {
        for engine in engines {
            for number in 0..<loaded { keep(try engine.readRaw(Messages.messageKey(number))) }
        }
    }

    /// Engines read the same keys in a run, which are made before the time runs.
    private func reading(
        _ targets: [String: Double], only peers: Set<String>, _ makeKeys: @escaping (Int) -> [String],
        isInTransaction: Bool = false, _ body: @escaping (any MessageEngine, [String]) throws -> Void
    ) -> [Contender] {
        engines.filter { peers.contains($0.name) }.map { engine in
            var keys: [String] = []
            return Contender(engine.name, target: targets[engine.name], prepare: { keys = makeKeys($0) }) { _ in
                if isInTransaction {
                    try engine.inReadTransaction { try body(engine, keys) }
                } else {
                    try body(engine, keys)
                }
                return keys.count
            }
        }
    }

    func reads() throws {
        let count = bench.scaled(50_000)
        let kinds: [(String, key: (Int) -> String, read: (any MessageEngine, String) throws -> Int, isTyped: Bool)] = [
            ("read by key, raw", Messages.messageKey, { try $0.readRaw($1) }, false),
            ("read by unique index, raw", Messages.hash, { try $0.readRaw(hash: $1) }, false),
            ("read by key into a Codable type", Messages.messageKey, { try $0.readTyped($1) }, true),
            ("read by unique index into a Codable type", Messages.hash, { try $0.readTyped(hash: $1) }, true),
        ]
        for (name, key, read, isTyped) in kinds {
            for isInTransaction in [false, true] {
                try bench.compare(
                    "\(name), \(isInTransaction ? "in a read transaction" : "autocommit")",
                    reading(
                        isTyped ? ["GRDB": 5] : ["SQLite": isInTransaction ? 1.5 : 3],
                        only: ["ApusStore", isTyped ? "GRDB" : "SQLite"],
                        { run in
                            var random = Random(seed: UInt64(run) + 100)
                            return (0..<count).map { _ in key(random.next(below: loaded)) }
                        }, isInTransaction: isInTransaction
                    ) { engine, keys in
                        var total = 0
                        for key in keys { total += try read(engine, key) }
                        guard total > 400 * keys.count else { throw BenchFailure("\(engine.name) has lost texts") }
                    })
            }
        }
    }

    func ranges() throws {
        let count = bench.scaled(2000)
        let kinds: [(String, (any MessageEngine, String) throws -> Int, isTyped: Bool)] = [
            ("last 50 messages of a conversation, raw", { try $0.readLastRaw($1) }, false),
            ("last 50 messages of a conversation, Codable", { try $0.readLastTyped($1) }, true),
        ]
        for (name, read, isTyped) in kinds {
            try bench.compare(
                name,
                reading(
                    isTyped ? ["GRDB": 5] : ["SQLite": 3], only: ["ApusStore", isTyped ? "GRDB" : "SQLite"],
                    { run in
                        var random = Random(seed: UInt64(run) + 200)
                        return (0..<count).map { _ in Messages.conversationKey(random.next(below: conversations)) }
                    }
                ) { engine, keys in
                    var total = 0
                    for key in keys { total += try read(engine, key) }
                    guard total > 400 * 50 * keys.count else { throw BenchFailure("\(engine.name) has lost texts") }
                })
        }
    }

    func cascades() throws {
        let count = bench.scaled(150)
        try bench.compare(
            "delete a conversation with a cascade of \(Messages.perConversation)",
            contenders(["SQLite": 10]) { engine, run in
                for number in (run * count)..<((run + 1) * count) {
                    try engine.deleteConversation(Messages.conversationKey(conversations - 1 - number))
                }
                return count
            })
    }

    /// One thread inserts, another reads, for two seconds.
    func concurrent() throws {
        for isDurable in [true, false] {
            let name = "a writer beside a reader, \(isDurable ? "durable" : "relaxed")"
            guard bench.wants(name) else { continue }
            let contenders = engines.filter { isDurable || $0.name != "GRDB" }.map { engine in
                Contender(
                    engine.name, target: engine.name == "SQLite" ? 3 : nil, prepare: { _ in BenchFolder.synchronize() }
                ) { run in try writeAndRead(engine, run, isDurable: isDurable) }
            }
            try bench.compare(name, contenders)
        }
    }

    private func writeAndRead(_ engine: any MessageEngine, _ run: Int, isDurable: Bool) throws -> [Sample] {
        let seconds = 2.0
        // Far from all others, and from each other: how many a run writes depends on the engine.
        let start = (isDurable ? 1_000_000_000 : 2_000_000_000) + run * 10_000_000
        let reader = try engine.makeReader()
        let readerResult = ThreadResult()
        var random = Random(seed: 7)
        let keys = (0..<65_536).map { _ in Messages.messageKey(random.next(below: loaded)) }
        nonisolated(unsafe) let unsafeReader = reader
        let group = DispatchGroup()
        let clock = ContinuousClock()
        let end = clock.now + .seconds(seconds)
        DispatchQueue(label: "reader").async(group: group) {
            var count = 0
            do {
                while clock.now < end {
                    for index in count..<(count + 16) { keep(try unsafeReader.readRaw(keys[index % keys.count])) }
                    count += 16
                }
            } catch {
                readerResult.error = error
            }
            readerResult.count = count
        }
        var written = 0
        while clock.now < end {
            try engine.insert(Messages.message(start + written, conversations: conversations / 2), durable: isDurable)
            written += 1
        }
        group.wait()
        if let error = readerResult.error { throw error }
        return [
            Sample(part: "the writer", operations: written, seconds: seconds),
            Sample(part: "the reader", operations: readerResult.count, seconds: seconds),
        ]
    }
}

/// Written by one thread, read by another after it has ended.
private final class ThreadResult: @unchecked Sendable {
    var count = 0
    var error: (any Error)?
}

func runDocuments(_ bench: Bench) throws {
    let conversations = bench.scaled(4000)
    let loaded = conversations * Messages.perConversation
    var engines: [any MessageEngine] = []
    if bench.wants(engine: "ApusStore") { engines.append(try ApusMessages(path: bench.folder.subfolder("apus").path)) }
    #if PEER_SQLITE
    if bench.wants(engine: "SQLite") { engines.append(try SQLiteMessages(path: bench.folder.subfolder("sqlite").path)) }
    if bench.wants(engine: "GRDB") { engines.append(try GRDBMessages(path: bench.folder.subfolder("grdb").path)) }
    #endif
    for engine in engines { try engine.load(conversations: conversations, messages: loaded) }
    let works = DocumentWorks(bench: bench, engines: engines, conversations: conversations, loaded: loaded)
    try works.warmUp()
    // The works that take conversations away come last.
    try works.reads()
    try works.ranges()
    try works.writes()
    try works.concurrent()
    try works.cascades()
    for engine in engines { try engine.close() }
}
