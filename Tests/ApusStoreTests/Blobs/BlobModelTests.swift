// Random histories of blobs beside a plain dictionary, with crashes. After every crash what was durable is there, and the
// references, uses and figures agree with each other, which `verify` recomputes.

import Apus
import Testing

@testable import ApusStore

@Suite struct BlobModelTests {
    @Test(arguments: 0..<12 as Range<UInt64>)
    func storeAndModelAgree(seed: UInt64) throws {
        try BlobHistory(seed: seed).run(steps: 120)
    }
}

/// One random history.
private final class BlobHistory {
    struct Blob {
        var content: [UInt8]
        var references = 0
        var putAt: UInt64
    }

    let seed: UInt64
    let fixture: StoreFixture
    var random: TestRandom
    var store: Store
    var blobs: BlobCollection
    var model: [BlobID: Blob] = [:]
    /// Contents are made from each other, so that they share chunks.
    var pool: [[UInt8]] = [[]]
    var writer: (writer: BlobWriter, content: [UInt8])?
    var steps: [String] = []

    static let grace: UInt64 = 100_000

    init(seed: UInt64) throws {
        self.seed = seed
        random = TestRandom(seed: seed &* 7919 &+ 1)
        fixture = StoreFixture(seed: seed)
        store = try fixture.open()
        blobs = try fixture.blobs(in: store, gracePeriod: .milliseconds(Int64(Self.grace)))
    }

    func run(steps count: Int) throws {
        do {
            for _ in 0..<count { try step() }
            try check()
            writer = nil
            try store.close()
        } catch {
            Issue.record("seed \(seed), after \(steps.suffix(20)): \(error)")
            throw error
        }
    }

    private func step() throws {
        switch random.below(100) {
        case ..<25: try put()
        case ..<35: try putInTransaction()
        case ..<55: try refer()
        case ..<62: try stream()
        case ..<72: try collect()
        case ..<82: pass()
        case ..<94: try look()
        case ..<96: try reopen()
        case ..<98: try crash()
        default: try crashInTheMiddle()
        }
    }

    // MARK: Steps

    private func makeContent() -> [UInt8] {
        var content = pool[random.below(pool.count)]
        switch random.below(4) {
        case 0: content = random.bytes(random.below(400))
        case 1: content = random.text(random.below(20_000))
        case 2:
            let position = random.below(content.count + 1)
            content.insert(contentsOf: random.bytes(random.below(300)), at: position)
        default: break
        }
        pool.append(content)
        if pool.count > 12 { pool.removeFirst() }
        return content
    }

    private func note(put content: [UInt8]) -> BlobID {
        let id = BlobID(of: content)
        let references = model[id]?.references ?? 0
        model[id] = Blob(content: content, references: references, putAt: store.time)
        return id
    }

    private func put() throws {
        let content = makeContent()
        steps.append("put \(content.count)")
        #expect(try blobs.put(content) == note(put: content))
    }

    private func putInTransaction() throws {
        let contents = (0...random.below(3)).map { _ in makeContent() }
        let isGivenUp = random.below(4) == 0
        steps.append("put in a transaction \(contents.map(\.count)), given up: \(isGivenUp)")
        struct GivenUp: Error {}
        do {
            try store.transaction { transaction in
                for content in contents {
                    let id = try blobs.put(content, in: transaction)
                    try blobs.retain(id, in: transaction)
                    #expect(try blobs.get(id, in: transaction) == content)
                }
                if isGivenUp { throw GivenUp() }
            }
            for content in contents { model[note(put: content)]?.references += 1 }
        } catch is GivenUp {}
    }

    private func refer() throws {
        guard let id = model.keys.sorted().randomElement(using: &random) else { return }
        if random.below(2) == 0 {
            steps.append("retain \(id)")
            try blobs.retain(id)
            model[id]!.references += 1
        } else if model[id]!.references > 0 {
            steps.append("release \(id)")
            try blobs.release(id)
            model[id]!.references -= 1
        } else {
            steps.append("release too often \(id)")
            #expect(throws: StoreError.self) { try blobs.release(id) }
        }
    }

    /// Goes on with a content that is put piece by piece, across other steps.
    private func stream() throws {
        guard var current = writer else {
            steps.append("begin a content")
            writer = (blobs.makeWriter(), [])
            return
        }
        switch random.below(6) {
        case 0:
            steps.append("finish a content of \(current.content.count)")
            #expect(try current.writer.finish() == note(put: current.content))
            writer = nil
        case 1:
            steps.append("cancel a content of \(current.content.count)")
            writer = nil
        default:
            let piece = makeContent()
            steps.append("write \(piece.count)")
            try current.writer.write(piece)
            current.content += piece
            writer = current
        }
    }

    private func collect() throws {
        steps.append("collect garbage")
        let now = store.time
        try blobs.collectGarbage()
        // A crash could bring back what has just gone; the model does not know how to.
        try store.database.synchronize()
        for (id, blob) in model where blob.references == 0 {
            let age = now - blob.putAt
            // In between either is right; what is gone must be gone for good.
            if age < Self.grace {
                #expect(try blobs.contains(id))
            } else if age >= 2 * Self.grace {
                #expect(try !blobs.contains(id))
            }
            if try !blobs.contains(id) { model[id] = nil }
        }
    }

    private func pass() {
        let milliseconds = UInt64(random.below(Int(Self.grace)))
        steps.append("pass \(milliseconds)")
        fixture.advance(milliseconds: milliseconds)
    }

    private func look() throws {
        guard let id = model.keys.sorted().randomElement(using: &random), let blob = model[id] else { return }
        steps.append("look at \(id)")
        #expect(try blobs.get(id) == blob.content)
        let lower = random.below(blob.content.count + 1)
        let upper = lower + random.below(1000)
        #expect(
            try blobs.get(id, UInt64(lower)..<UInt64(upper))
                == Array(blob.content[lower..<min(upper, blob.content.count)]))
        #expect(try blobs.stat(id)?.references == Int64(blob.references))
    }

    private func reopen() throws {
        steps.append("reopen")
        writer = nil
        try store.close()
        fixture.restart(store)
        try open()
    }

    private func crash() throws {
        steps.append("crash")
        writer = nil
        fixture.crash(store)
        try open()
        // Everything that was acknowledged was durable.
        try check()
    }

    /// The power fails at some change of the disk during a call: the call has happened, or it has not.
    private func crashInTheMiddle() throws {
        writer = nil
        let content = makeContent()
        let id = BlobID(of: content)
        let (before, time) = (model[id], store.time)
        let changes = random.below(30)
        let kind = random.below(3)
        steps.append("crash after \(changes) changes, \(kind)")
        fixture.armStop(after: changes)
        switch kind {
        case 0: _ = try? blobs.put(content)
        case 1:
            _ = try? store.transaction { transaction in
                try blobs.retain(try blobs.put(content, in: transaction), in: transaction)
            }
        default: _ = try? blobs.collectGarbage()
        }
        fixture.crash(store)
        try open()
        if kind == 2 {
            for (id, blob) in model where try !blobs.contains(id) {
                #expect(blob.references == 0 && time - blob.putAt >= Self.grace)
                model[id] = nil
            }
        } else if let status = try blobs.stat(id) {
            let old = before?.references ?? 0
            let new = Int(status.references)
            #expect(kind == 0 ? new == old : (new == old && before != nil) || new == old + 1)
            model[id] = Blob(content: content, references: new, putAt: status.lastPut)
        } else {
            #expect(before == nil)
        }
        try check()
    }

    private func open() throws {
        store = try fixture.open()
        blobs = try fixture.blobs(in: store, gracePeriod: .milliseconds(Int64(Self.grace)))
    }

    private func check() throws {
        for (id, blob) in model {
            #expect(try blobs.get(id) == blob.content)
            #expect(try blobs.stat(id)?.references == Int64(blob.references))
        }
        let report = try store.verify()
        #expect(report.isSound, "seed \(seed): \(report.problems) \(report.database.problems)")
        let figures = try blobs.statistics()
        #expect(figures.blobs == model.count)
        #expect(figures.contentBytes == model.values.reduce(0) { $0 + $1.content.count })
        #expect(figures.referencedBytes == model.values.reduce(0) { $0 + $1.references * $1.content.count })
    }
}
