// Faults that the fuzzers found (Fuzz/README.md), each as the shortest story that shows it.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite("Fuzz regressions")
struct FuzzRegressionTests {
    @Test("an opening that fails frees everything that it had made")
    func failedOpeningIsFreed() throws {
        for count in 0..<1_000 {
            weak var disk: SimulatedDisk?
            let wasStruck = try {
                let fixture = EngineFixture(seed: 5, writeBufferByteCount: 2_048)
                disk = fixture.disk
                do {
                    let database = try fixture.open()
                    let keyspace = try database.keyspace("a")
                    for number in 0..<40 { try keyspace.put("key \(number)", [UInt8](repeating: 1, count: 100)) }
                    fixture.machine.scheduler.runAll()
                    fixture.disk.inject(Fault(.stop))
                    try? database.close()
                }
                fixture.disk.removeFaults()
                fixture.machine.restart()
                fixture.disk.inject(Fault(.fail(ErrorCode.inputOutput), skipping: count) { $0.isMutation })
                do throws(ApusError) {
                    try fixture.open().close()
                } catch {
                    #expect(error.kind == .io || error.kind == .failed, "\(error)")
                }
                fixture.machine.scheduler.runAll()
                return fixture.disk.struckFaultCount == 2
            }()
            #expect(disk == nil, "failing change \(count) of the opening")
            if !wasStruck { return #expect(count > 0) }
        }
    }

    @Test("a table whose manifest claims impossibly many range deletions reads those it has")
    func claimedRangeDeletions() throws {
        let fixture = TableFixture()
        let deletion = RangeDeletion(start: [1], end: [5], sequence: SequenceNumber(3))
        var metadata = try fixture.write([TableEntry([1], 4, [9])], rangeDeletions: [deletion])
        metadata.rangeDeletionCount = .max
        #expect(try fixture.open(metadata).rangeDeletions()?.count == 1)
    }

    @Test("a manifest that has used up the numbers of keyspaces or files is refused when a new one is needed")
    func numbersAreUsedUp() throws {
        let changes: [(VersionEdit.Change, ApusError.Kind)] = [
            (.nextKeyspaceID(.max), .failed), (.nextFileNumber(FileName.numberLimit - 1), .corruption),
        ]
        for (change, kind) in changes {
            let fixture = EngineFixture()
            do {
                let database = try fixture.open()
                _ = try database.keyspace("a")
                try database.engine.record(VersionEdit([change]))
                fixture.disk.inject(Fault(.stop))
                try? database.close()
            }
            fixture.disk.removeFaults()
            fixture.machine.restart()
            expectError(kind) { _ = try fixture.open().keyspace("b") }
        }
    }

    @Test("entries out of order, as a damaged table under right checksums has them, are an error when they are merged")
    func entriesOutOfOrder() throws {
        let error = expectError(.corruption) {
            _ = try TableFixture().write([TableEntry([2], 1, [9]), TableEntry([1], 2, [9])])
        }
        #expect(error?.message.contains("out of order") == true)
    }

    @Test("verification finds a key whose head in the block is not its own, so that no search finds it")
    func headOfAnotherKey() throws {
        let builder = BlockBuilder()
        for key: [UInt8] in [[1, 2], [3, 4]] { key.withUnsafeBytes { builder.add($0, 1 << 8 | 1, $0) } }
        var output = RawBuffer(capacity: 256)
        builder.finish(into: &output)
        // Behind the two bytes of the first key.
        let first = output.base + BlockFormat.headsOffset(prefixCount: 0) + 8
        for (hasHead, byte) in [(true, UInt8(0)), (false, 1)] {
            first.storeBytes(of: byte, as: UInt8.self)
            let block = Block(validated: UnsafeRawPointer(output.base))
            for (rank, key) in [[UInt8](arrayLiteral: 1, 2), [3, 4]].enumerated() {
                let isTouched = block.order.node(rank: rank) == 2
                #expect(block.hasHead(of: key, rank: rank) == (hasHead || !isTouched))
            }
        }
    }
}
