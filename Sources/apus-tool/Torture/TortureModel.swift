// What a tortured database must hold once so and so many commits of every thread are in it. Recomputed from the seed:
// no more than the last epochs of each thread have to be gone through.

import Apus

struct TortureModel {
    let workload: TortureWorkload
    /// Commits of each thread that are in the database.
    let positions: [Int]
    /// By keyspace, in key order.
    private(set) var entries: [[Entry]] = []
    /// Keys of each keyspace that must have no value.
    private(set) var absent: [[[UInt8]]] = []
    private(set) var accounts = [Int64](repeating: 0, count: TortureControl.accountCount)

    init(_ workload: TortureWorkload, positions: [Int]) {
        self.workload = workload
        self.positions = positions
        entries = TortureKeyspace.allCases.map { _ in [] }
        absent = entries.map { _ in [] }
        for (thread, position) in positions.enumerated() { add(thread, position) }
    }

    /// The sum of all positions, which every commit adds one to.
    var total: Int { positions.reduce(0, +) }

    private mutating func add(_ thread: Int, _ position: Int) {
        var regions = Regions()
        if position > 0 {
            let lastEpoch = (position - 1) / TortureWorkload.commitsPerEpoch
            let firstEpoch = max(0, lastEpoch - TortureWorkload.generations + 1)
            for number in firstEpoch * TortureWorkload.commitsPerEpoch..<position {
                let commit = workload.commit(thread, number)
                regions.apply(commit)
                if let transfer = commit.transfer, number >= lastEpoch * TortureWorkload.commitsPerEpoch {
                    accounts[transfer.from] -= transfer.amount
                    accounts[transfer.to] += transfer.amount
                }
            }
        }
        for keyspace in TortureKeyspace.allCases {
            for generation in 0..<TortureWorkload.generations {
                for slot in 0..<keyspace.slotCount {
                    let key = TortureWorkload.key(thread, generation, slot)
                    if let parts = regions[keyspace, generation, slot] {
                        let value = parts.reduce(into: []) { $0 += workload.bytes($1) }
                        entries[keyspace.rawValue].append(Entry(key: key, value: value))
                    } else {
                        absent[keyspace.rawValue].append(key)
                    }
                }
            }
            if position > 0 {
                entries[keyspace.rawValue].append(
                    Entry(key: Array(TortureControl.positionKey(thread).utf8), value: integerBytes(position))
                )
            }
        }
    }

    /// The regions of one thread: for each slot the values that are appended to one another, nil if it is absent.
    private struct Regions {
        private var slots: [[[TortureValue]?]] = TortureKeyspace.allCases.map {
            Array(repeating: nil, count: $0.slotCount * TortureWorkload.generations)
        }

        subscript(_ keyspace: TortureKeyspace, _ generation: Int, _ slot: Int) -> [TortureValue]? {
            get { slots[keyspace.rawValue][generation * keyspace.slotCount + slot] }
            set { slots[keyspace.rawValue][generation * keyspace.slotCount + slot] = newValue }
        }

        mutating func apply(_ commit: TortureCommit) {
            let generation = commit.generation
            for operation in commit.operations {
                switch operation {
                case .put(let keyspace, let slot, let value): self[keyspace, generation, slot] = [value]
                case .append(let slot, let value): self[.lists, generation, slot, default: []].append(value)
                case .delete(let keyspace, let slot): self[keyspace, generation, slot] = nil
                case .deleteSlots(let keyspace, let range):
                    for slot in range { self[keyspace, generation, slot] = nil }
                case .clearRegion:
                    for keyspace in TortureKeyspace.allCases {
                        for slot in 0..<keyspace.slotCount { self[keyspace, generation, slot] = nil }
                    }
                }
            }
        }

        private subscript(
            _ keyspace: TortureKeyspace, _ generation: Int, _ slot: Int, default parts: [TortureValue]
        ) -> [TortureValue] {
            get { self[keyspace, generation, slot] ?? parts }
            set { self[keyspace, generation, slot] = newValue }
        }
    }
}

/// Eight bytes, little-endian: what counters and positions are stored as.
func integerBytes(_ number: some BinaryInteger) -> [UInt8] {
    withUnsafeBytes(of: Int64(number).littleEndian) { Array($0) }
}

/// nil unless there are eight bytes.
func integer(_ bytes: some Collection<UInt8>) -> Int? {
    guard bytes.count == 8 else { return nil }
    let word = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return Int(Int64(bitPattern: word))
}
