// One writer and several readers of a memtable at once, on real threads.

import ApusIO
import Dispatch
import Foundation
import Synchronization
import Testing

@testable import Apus

/// Real threads: one writer, several readers that hold the memtable to its promise while it grows.
@Suite(.serialized) struct MemtableConcurrencyTests {
    enum Pattern: CaseIterable { case random, ascending, descending, streams, few, equalHeads }

    /// What is inserted, in order of sequence, and what a reader at any sequence must find.
    final class Script: Sendable {
        let entries: [ModelEntry]
        /// Sequences of each key's versions, ascending.
        let versions: [[UInt8]: [Int]]

        init(_ pattern: Pattern, count: Int) {
            var random = TestRandom(seed: 42)
            var keys: [[UInt8]] = (0..<count).map { number in
                switch pattern {
                case .random: return KeyFamily.random.key(&random)
                case .ascending, .descending: return Array(String(1_000_000 + number).utf8)
                case .streams: return Array("stream\(number / 50 % 3)/\(1_000_000 + number)".utf8)
                case .few: return KeyFamily.few.key(&random)
                case .equalHeads: return KeyFamily.equalHeads.key(&random)
                }
            }
            if pattern == .descending { keys.reverse() }
            entries = keys.enumerated().map { index, key in
                ModelEntry(key, Trailer(SequenceNumber(UInt64(index + 1)), .value), Array("\(index + 1)".utf8))
            }
            var versions: [[UInt8]: [Int]] = [:]
            for (index, key) in keys.enumerated() { versions[key, default: []].append(index + 1) }
            self.versions = versions
        }

        func newest(_ key: [UInt8], atMost snapshot: Int) -> Int? {
            versions[key]?.last { $0 <= snapshot }
        }
    }

    final class Shared: Sendable {
        let published = Atomic<Int>(0)
        let failures = Monitor<[String]>([])
        func fail(_ what: String) { failures.withLock { $0.append(what) } }
    }

    @Test(arguments: Pattern.allCases)
    func readersFindAllThatWasInsertedBeforeTheyBegan(_ pattern: Pattern) {
        let count = 12_000
        let script = Script(pattern, count: count)
        let memtable = Memtable(
            capacity: Memtable.capacity(forEntries: count, byteCount: count * 32),
            pool: nil
        )
        let shared = Shared()
        let finished = DispatchSemaphore(value: 0)
        for number in 0..<3 as Range<UInt64> {
            let thread = Thread {
                Self.read(memtable, script, shared, seed: number)
                finished.signal()
            }
            thread.stackSize = 1 << 20
            thread.start()
        }
        for (index, entry) in script.entries.enumerated() {
            memtable.insert(entry)
            shared.published.store(index + 1, ordering: .releasing)
            // Readers get to look between inserts, also on one core.
            if index % 64 == 0 { sched_yield() }
        }
        for _ in 0..<3 { finished.wait() }
        #expect(shared.failures.withLock { $0 } == [])
    }

    private static func read(_ memtable: Memtable, _ script: Script, _ shared: Shared, seed: UInt64) {
        var random = TestRandom(seed: seed)
        let cursor = memtable.makeCursor()
        while true {
            let snapshot = shared.published.load(ordering: .acquiring)
            if snapshot == 0 { continue }
            do {
                for _ in 0..<40 { look(memtable, script, shared, snapshot, &random) }
                try walk(cursor, script, shared, snapshot, &random)
                if random.chance(4) { try countAll(memtable.makeCursor(), shared, snapshot) }
            } catch {
                shared.fail("\(error)")
            }
            if snapshot == script.entries.count || shared.failures.withLock({ !$0.isEmpty }) { return }
        }
    }

    /// The newest version at the snapshot, neither an older one nor a newer.
    private static func look(
        _ memtable: Memtable,
        _ script: Script,
        _ shared: Shared,
        _ snapshot: Int,
        _ random: inout TestRandom
    ) {
        let key = script.entries[random.below(snapshot)].key
        let expected = script.newest(key, atMost: snapshot)
        let found = key.raw { memtable.find($0, .seek(SequenceNumber(UInt64(snapshot)))) }
        let sequence = found.map { Int($0.trailer.sequence.rawValue) }
        let payload = found.map { String(decoding: $0.payload, as: UTF8.self) }
        if sequence != expected || payload != expected.map({ "\($0)" }) {
            shared.fail(
                "find at \(snapshot): \(String(describing: sequence)) instead of \(String(describing: expected))"
            )
        }
    }

    /// From a known entry some steps to and fro: what lies between two neighbours must not have been there.
    private static func walk(
        _ cursor: EntryCursor,
        _ script: Script,
        _ shared: Shared,
        _ snapshot: Int,
        _ random: inout TestRandom
    ) throws {
        let start = script.entries[random.below(snapshot)]
        try start.key.raw { try cursor.seek($0, start.trailer) }
        guard ModelEntry(cursor) == start else { return shared.fail("seek missed an entry at \(snapshot)") }
        for _ in 0..<30 {
            guard let before = ModelEntry(cursor) else { break }
            let isForward = random.chance(50)
            if isForward { try cursor.next() } else { try cursor.previous() }
            guard let after = ModelEntry(cursor) else { break }
            if before.isBefore(after.key, after.trailer) != isForward || before == after {
                shared.fail("a step went the wrong way at \(snapshot)")
            }
        }
    }

    /// All entries up to the snapshot, in order, both ways.
    private static func countAll(_ cursor: EntryCursor, _ shared: Shared, _ snapshot: Int) throws {
        for isForward in [true, false] {
            var visible = 0
            var last: ModelEntry?
            if isForward { try cursor.seekToFirst() } else { try cursor.seekToLast() }
            while let entry = ModelEntry(cursor) {
                if entry.trailer.sequence.rawValue <= UInt64(snapshot) { visible += 1 }
                if let last, last.isBefore(entry.key, entry.trailer) != isForward {
                    shared.fail("a scan is out of order at \(snapshot)")
                }
                last = entry
                if isForward { try cursor.next() } else { try cursor.previous() }
            }
            if visible != snapshot { shared.fail("a scan at \(snapshot) saw \(visible) of its entries") }
        }
    }

    @Test func rangeDeletionsAppearWhileOthersRead() {
        let memtable = Memtable(capacity: 1 << 20, pool: nil)
        let count = 2000
        let shared = Shared()
        let finished = DispatchSemaphore(value: 0)
        for number in 0..<2 as Range<UInt64> {
            Thread {
                var random = TestRandom(seed: number)
                var snapshot = 0
                while snapshot < count {
                    snapshot = shared.published.load(ordering: .acquiring)
                    // Deletion n covers everything from n on.
                    let key = random.below(count)
                    let expected = min(key, snapshot)
                    let bytes = Self.key(key)
                    let limit = SequenceNumber(UInt64(snapshot))
                    let found = bytes.raw { memtable.newestRangeDeletion(covering: $0, atMost: limit) }
                    let other = bytes.raw { memtable.rangeDeletions?.newestSequence(covering: $0, atMost: limit) }
                    if found.rawValue != UInt64(expected) || (other ?? .zero) != found {
                        shared.fail("key \(key) at \(snapshot): \(found)")
                        break
                    }
                }
                finished.signal()
            }.start()
        }
        for number in 1...count {
            Self.key(number).raw { start in
                [UInt8(0xFF)].raw {
                    memtable.insertRangeDeletion(start: start, end: $0, SequenceNumber(UInt64(number)))
                }
            }
            shared.published.store(number, ordering: .releasing)
        }
        for _ in 0..<2 { finished.wait() }
        #expect(shared.failures.withLock { $0 } == [])
        #expect(memtable.rangeDeletionCount == count)
    }

    private static func key(_ number: Int) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xFF)] }
}
