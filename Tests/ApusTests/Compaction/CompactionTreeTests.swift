// A whole tree under random load: flushes, compactions that the picker chooses, several of them at once and ending in
// any order, snapshots that come and go, value separation. After every step every reader must see what the plain
// history says.

import ApusIO
import Testing

@testable import Apus

@Suite struct CompactionTreeTests {
    @Test(arguments: 0..<40) func everyReaderSeesTheHistoryWhateverRuns(_ seed: Int) throws {
        var tree = SimulatedTree(seed: UInt64(seed))
        for step in 0..<60 {
            do {
                try tree.step()
                try tree.check()
            } catch {
                Issue.record("seed \(seed), step \(step): \(error)")
                return
            }
        }
        do {
            try tree.finishAll()
            try tree.check()
            try tree.compactEverything()
            try tree.check()
            let upper = tree.summary.levels.dropLast().reduce(0) { $0 + $1.count }
            #expect(upper == 0, "seed \(seed)")
        } catch {
            Issue.record("seed \(seed), at the end: \(error)")
        }
    }
}

struct Mismatch: Error, CustomStringConvertible {
    var description: String
}

/// A tree as the engine keeps it, without the engine.
struct SimulatedTree {
    private let fixture = CompactionFixture()
    private var random: SeededGenerator
    private var history: HistoryGenerator
    private let picker: CompactionPicker
    private let separationThreshold: Int?
    /// Tables of level 0 that overlap some of their neighbours and others not.
    private let hasNarrowSources: Bool

    /// All that was ever written.
    private var written = PlainSource()
    /// Sealed memtables, newest first; the last one may be being flushed.
    private var memtables: [PlainSource] = []
    private(set) var summary: TreeSummary
    private var contents: [FileNumber: PlainSource] = [:]
    /// Snapshots and the times they were taken at.
    private var snapshots: [SequenceNumber: UInt64] = [:]

    private struct Running {
        var plan: CompactionPlan?
        var output: CompactionOutput
    }
    private var running: [Running] = []
    private var isFlushing: Bool { running.contains { $0.plan == nil } }
    private var footprints: [CompactionFootprint] { running.compactMap { $0.plan?.footprint } }

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed &+ 77)
        history = HistoryGenerator(seed: seed, keyCount: 30)
        history.hasMerges = seed % 3 != 0
        history.hasExpiry = seed % 4 != 1
        history.largestValue = 30
        var policy = LevelPolicy.tiny
        if seed % 5 < 3 {
            policy.baseByteCount = 300
            policy.tableByteCount = 250
        }
        picker = CompactionPicker(policy: policy)
        separationThreshold = seed % 2 == 0 ? 12 : nil
        hasNarrowSources = seed % 3 == 2
        summary = TreeSummary(levels: Array(repeating: [], count: LevelPolicy.tiny.levelCount))
    }

    private var horizon: UInt64 { min(history.clock, snapshots.values.min() ?? .max) }
    private var stripeBounds: [SequenceNumber] { Set(snapshots.keys).union([history.lastSequence]).sorted() }
    private var moment: CompactionMoment {
        CompactionMoment(now: history.clock, expiryHorizon: horizon, oldestSnapshot: stripeBounds[0])
    }

    mutating func step() throws {
        if random.chance(50) { write() }
        if random.chance(30) { snapshots[history.lastSequence] = history.clock }
        if random.chance(30), let snapshot = snapshots.keys.sorted().randomElement(using: &random) {
            snapshots[snapshot] = nil
        }
        if random.chance(60) { try startFlush() }
        if random.chance(70) { try startCompaction() }
        if random.chance(10) { try startManualCompaction() }
        if random.chance(60) { try finishOne() }
    }

    private mutating func write() {
        let source = history.source(
            Int.random(in: 5...40, using: &random), isNarrow: hasNarrowSources && random.chance(80))
        written.add(source)
        memtables.insert(source, at: 0)
    }

    // MARK: - Running

    private mutating func startFlush() throws {
        guard !isFlushing, let oldest = memtables.last else { return }
        var input = input([oldest], target: 0, elision: .beneathMemtables(of: summary))
        input.newerSourcesHold = holds(memtables.dropLast())
        running.append(Running(output: try CompactionJob.run(input, fixture.environment)))
    }

    private mutating func startCompaction() throws {
        try start(picker.choose(summary, running: footprints, at: moment))
    }

    /// One step towards having a few keys, or all, in the last level.
    private mutating func startManualCompaction() throws {
        var request = ManualCompaction(
            reason: [.manual, .reads, .rest].randomElement(using: &random)!, sequence: history.lastSequence,
            nextFileNumber: fixture.upcomingNumber, expiryHorizon: horizon)
        if random.chance(50) {
            request.from = history.keys.randomElement(using: &random)
            request.to = request.from! + [0]
        }
        if case .run(let choice) = picker.nextStep(of: request, summary, running: footprints, at: moment) {
            try start(choice)
        }
    }

    private mutating func start(_ choice: CompactionChoice) throws {
        switch choice {
        case .merge(let plan), .move(let plan):
            if let violation = plan.violation(in: summary) { throw Mismatch(description: violation) }
        case .drop, .nothing: break
        }
        switch choice {
        case .nothing: return
        case .drop: throw Mismatch(description: "a leveled tree drops nothing")
        case .move(let plan):
            let table = plan.inputs[0].tables[0]
            try apply(plan, added: [table], blobs: [])
        case .merge(let plan):
            let tables = plan.tables
            var input = input(
                tables.map { contents[$0.number]! },
                target: plan.targetLevel,
                elision: plan.elision(in: summary)
            )
            input.sources = tables.map { table in
                let cursor = fixture.table(table).makeCursor(fillCache: false, readahead: true)
                cursor.newestSequence = table.largestSequence
                return cursor
            }
            input.grandparents = plan.grandparents(in: summary)
            input.collectedBlobFiles = plan.collectedBlobFiles
            let numbers = Set(tables.map(\.number))
            var newer = memtables
            for (level, tables) in summary.levels.enumerated() where level <= plan.inputs[0].level {
                newer += tables.filter { !numbers.contains($0.number) }.map { contents[$0.number]! }
            }
            input.newerSourcesHold = holds(newer)
            running.append(Running(plan: plan, output: try CompactionJob.run(input, fixture.environment)))
        }
    }

    private func input(_ sources: [PlainSource], target: Int, elision: TombstoneElision) -> CompactionInput {
        var input = fixture.input(
            sources,
            target: target,
            snapshots: stripeBounds,
            older: elision,
            policy: picker.policy
        )
        input.expiryHorizon = horizon
        input.mergeOperator = history.hasMerges ? AppendingOperator() : nil
        input.mayHoldOperands = history.hasMerges
        input.createdAt = history.clock
        input.separationThreshold = separationThreshold
        return input
    }

    private func holds(_ sources: [PlainSource]) -> (UnsafeRawBufferPointer) throws(ApusError) -> Bool {
        let keys = Set(sources.flatMap { $0.entries.map(\.key) })
        return { key throws(ApusError) in keys.contains([UInt8](key)) }
    }

    private mutating func finishOne() throws {
        guard let index = running.indices.randomElement(using: &random) else { return }
        let done = running.remove(at: index)
        for table in done.output.tables { contents[table.number] = try fixture.contents(table) }
        if let plan = done.plan {
            try apply(plan, added: done.output.tables, blobs: done.output.blobFiles)
        } else {
            memtables.removeLast()
            summary.blobFiles += done.output.blobFiles
            summary.levels[0].insert(contentsOf: done.output.tables, at: 0)
        }
    }

    private mutating func apply(
        _ plan: CompactionPlan,
        added: [TableMetadata],
        blobs: [BlobFileMetadata]
    ) throws {
        for input in plan.inputs {
            for table in input.tables {
                guard let index = summary.levels[input.level].firstIndex(of: table) else {
                    throw Mismatch(description: "table \(table.number) was taken twice")
                }
                summary.levels[input.level].remove(at: index)
            }
        }
        summary.levels[plan.targetLevel] = TableOrder.sorted(
            summary.levels[plan.targetLevel] + added,
            level: plan.targetLevel
        ) { $0 }
        summary.blobFiles += blobs
        let garbage = Set(BlobCollector.unreferenced(summary))
        summary.blobFiles.removeAll { garbage.contains($0.number) }
    }

    mutating func finishAll() throws {
        while !running.isEmpty { try finishOne() }
        while !memtables.isEmpty {
            try startFlush()
            try finishOne()
        }
    }

    mutating func compactEverything() throws {
        let request = ManualCompaction(
            sequence: history.lastSequence,
            nextFileNumber: fixture.upcomingNumber,
            expiryHorizon: horizon
        )
        for _ in 0..<1000 {
            switch picker.nextStep(of: request, summary, running: footprints, at: moment) {
            case .done: return
            case .blocked: throw Mismatch(description: "blocked by nothing")
            case .run(let choice):
                try start(choice)
                try finishAll()
            }
        }
        throw Mismatch(description: "a manual compaction does not end")
    }

    // MARK: - Checking

    /// Checks the tree's shape, and what every reader sees against the history.
    func check() throws {
        for level in 1..<summary.levels.count {
            for (left, right) in zip(summary.levels[level], summary.levels[level].dropFirst()) {
                guard left.bounds.endsBefore(right.bounds) else {
                    throw Mismatch(description: "tables \(left.number) and \(right.number) of level \(level) overlap")
                }
            }
        }
        let sources = memtables + summary.levels.flatMap { $0.map { contents[$0.number]! } }
        let all = sources.reduce(into: PlainSource()) { $0.add($1) }
        let readers = Set(snapshots.keys).union([history.lastSequence])
        for key in history.keys {
            let (expected, found) = (written.about(key), all.about(key))
            for time in expected.times(from: horizon) {
                for reader in readers {
                    let old = try expected.sight(of: key, at: reader, time)
                    let new = try found.sight(of: key, at: reader, time) { try fixture.store.value(of: $0) }
                    guard old == new else {
                        throw Mismatch(
                            description: "key \(key) at \(reader.rawValue), time \(time): \(old) became \(new)"
                        )
                    }
                }
            }
            try checkOrder(of: key, in: sources)
        }
        try checkBlobs()
    }

    /// A newer source holds newer entries only: what makes a lookup stop at the first one it finds.
    private func checkOrder(of key: [UInt8], in sources: [PlainSource]) throws {
        var limit = SequenceNumber.max
        for source in sources {
            let sequences = source.entries.filter { $0.key == key }.map(\.sequence)
            guard let newest = sequences.max() else { continue }
            guard newest < limit else { throw Mismatch(description: "key \(key) has an older entry above a newer one") }
            limit = sequences.min()!
        }
    }

    /// Every reference leads to a file of the version, and the shares add up.
    private func checkBlobs() throws {
        let known = Set(summary.blobFiles.map(\.number))
        for level in summary.levels {
            for table in level {
                for share in table.blobReferences where !known.contains(share.file) {
                    throw Mismatch(
                        description: "table \(table.number) refers to blob file \(share.file), which is gone"
                    )
                }
            }
        }
        let live = BlobCollector.liveByteCounts(summary)
        for file in summary.blobFiles where live[file.number, default: 0] > file.recordByteCount {
            throw Mismatch(description: "blob file \(file.number) has more live bytes than bytes")
        }
    }
}
