// Tables under several threads, and the files behind them.

import ApusIO
import Synchronization
import Testing

@testable import Apus

@Suite struct TableSharingTests {
    private func entries(_ count: Int) -> [TableEntry] {
        (0..<count).map { (index: Int) -> TableEntry in
            let low = UInt8(index & 255)
            return TableEntry([UInt8(index >> 8), low, 3], UInt64(index), [low, 1])
        }
    }

    @Test func threadsReadWhileTheCacheEvicts() throws {
        let fixture = TableFixture(cacheCapacity: 40_000)
        let entries = entries(4000)
        let table = try fixture.table(entries)
        let mistakes = Monitor<[String]>([])
        let threads = (0..<3).map { seed in
            TestThread {
                do {
                    var random = TestRandom(seed: UInt64(seed))
                    for step in 0..<3000 {
                        let entry = entries.randomElement(using: &random)!
                        let found = try table.find(entry.key, at: 5000, fill: step % 7 != 0)
                        if found != entry { mistakes.withLock { $0.append("\(entry)") } }
                        if step % 300 == 0 {
                            let cursor = table.makeCursor(fillCache: step % 600 == 0, readahead: seed == 0)
                            try cursor.seek(entry.key, .first)
                            var index = entries.firstIndex(of: entry)!
                            for _ in 0..<200 where cursor.isValid {
                                if cursor.current != entries[index] { mistakes.withLock { $0.append("scan") } }
                                try cursor.next()
                                index += 1
                            }
                        }
                    }
                } catch {
                    mistakes.withLock { $0.append("\(error)") }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(mistakes.withLock { $0 } == [])
        #expect(fixture.cache.statistics.byteCount <= 40_000)
        #expect(fixture.cache.statistics.evictions > 0)
    }

    @Test func cachedLookupsReadNothing() throws {
        let fixture = TableFixture()
        let entries = entries(2000)
        let table = try fixture.table(entries)
        for entry in entries { #expect(try table.find(entry.key, at: 5000) == entry) }
        let before = fixture.cache.statistics
        for entry in entries { #expect(try table.find(entry.key, at: 5000) == entry) }
        #expect(fixture.cache.statistics.misses == before.misses)
        #expect(fixture.cache.statistics.bytesRead == before.bytesRead)
    }

    @Test func everythingATableHoldsIsChargedAndGivenBack() throws {
        let fixture = TableFixture()
        let metadata = try fixture.write(
            entries(3000),
            rangeDeletions: [RangeDeletion(start: [1], end: [2], sequence: SequenceNumber(9))]
        )
        var table: Table? = fixture.open(metadata)
        #expect(fixture.cache.statistics.byteCount == 0)
        _ = try table?.find([1, 1, 3], at: 9)
        let pinned = fixture.cache.statistics.pinnedByteCount
        #expect(pinned > 0)
        _ = try table?.rangeDeletions()
        #expect(fixture.cache.statistics.pinnedByteCount > pinned)
        table = nil
        #expect(fixture.cache.statistics.byteCount == 0)
    }

    @Test func openFilesStayWithinTheirLimit() throws {
        let fixture = TableFixture(cacheCapacity: 0, fileLimit: 3)
        let entries = entries(50)
        let tables = try (1...10).map { fixture.open(try fixture.write(entries, number: FileNumber($0))) }
        for _ in 0..<3 {
            for table in tables {
                #expect(try table.find(entries[9].key, at: 100) == entries[9])
                #expect(fixture.pool.openCount <= 3)
            }
        }
        #expect(fixture.fileSystem.openCount.load(ordering: .relaxed) <= 3)
        #expect(fixture.fileSystem.totalOpens > 30)
    }

    @Test func recentlyReadFileStaysOpen() throws {
        let fixture = TableFixture(cacheCapacity: 0, fileLimit: 3)
        let entries = entries(50)
        let tables = try (1...3).map { fixture.open(try fixture.write(entries, number: FileNumber($0))) }
        for table in tables { _ = try table.find(entries[9].key, at: 100) }
        let opens = fixture.fileSystem.totalOpens
        for table in tables { _ = try table.find(entries[9].key, at: 100) }
        #expect(fixture.fileSystem.totalOpens == opens)
    }
}
