// One seed is one history, call by call: what dictionaries and sets happen to have as their order must not reach the
// disk, or a failing seed does not fail again.

import ApusSimulation
import Testing

@testable import Apus

@Suite("Determinism")
struct DeterminismTests {
    @Test("the same workload makes the same calls and leaves the same files")
    func workload() throws {
        func run() throws -> (operations: [DiskOperation], files: [String: [UInt8]]) {
            let run = AnomalyRun()
            run.machine.disk.startTrace()
            try run.run()
            let disk = run.machine.disk
            let operations = disk.endTrace()
            return (operations, Dictionary(uniqueKeysWithValues: disk.filePaths.map { ($0, disk.contents(of: $0)!) }))
        }
        let first = try run()
        for _ in 0..<3 {
            let again = try run()
            let difference = zip(first.operations, again.operations).first { $0 != $1 }
            #expect(difference == nil, "\(difference!.0) became \(difference!.1)")
            #expect(first.operations.count == again.operations.count && first.files == again.files)
        }
    }

    @Test("keyspaces are flushed and closed in the same order")
    func manyKeyspaces() throws {
        func run() throws -> [DiskOperation] {
            let fixture = EngineFixture(seed: 3)
            fixture.disk.startTrace()
            let database = try fixture.open()
            for round in 0..<2 {
                for number in 0..<12 {
                    let keyspace = try database.keyspace(
                        "keyspace \(number)", options: KeyspaceOptions(valueSeparationThreshold: 20))
                    try keyspace.put("key \(round)", [UInt8](repeating: UInt8(number), count: 30))
                }
                if round == 0 { try database.flush() }
            }
            for number in 0..<6 { try database.dropKeyspace("keyspace \(number * 2)") }
            try database.close()
            return fixture.disk.endTrace()
        }
        let first = try run()
        #expect(try run() == first)
        #expect(try run() == first)
    }
}
