// Entries that a torture writer puts and deletes by themselves, between its commits: the engine takes a shorter way for
// them than for batches and transactions. They have a keyspace of their own, because they cannot carry along how many
// commits there are.
//
// The single write of a commit follows it and comes before the next commit of the thread. So of the single writes of a
// thread that has n commits, n - 1 are there for certain, and the last one if it was acknowledged.

import Apus

struct TortureSingle: Equatable {
    var slot: Int
    /// nil deletes.
    var value: TortureValue?
    var isDurable: Bool
}

extension TortureWorkload {
    static let singlesName = "singles"
    static let singleSlotCount = 8

    static func singleKey(_ thread: Int, _ slot: Int) -> [UInt8] { Array((prefix(thread) + "single/\(slot)").utf8) }

    /// What follows a commit; nothing after some of them.
    func single(_ thread: Int, _ number: Int) -> TortureSingle? {
        var random = TortureRandom(seed, UInt64(thread), UInt64(number), 1 << 40)
        guard random.chance(2, in: 3) else { return nil }
        let slot = random.below(Self.singleSlotCount)
        let byteCount = random.chance(1, in: 16) ? 4_000 + random.below(30_000) : random.below(400)
        let isDeletion = random.chance(1, in: 4)
        return TortureSingle(
            slot: slot,
            value: isDeletion
                ? nil : TortureValue(thread: thread, commit: number, operation: 1_000, byteCount: byteCount),
            isDurable: random.chance(1, in: 8)
        )
    }

    /// What the single writes of a thread's first `count` commits leave, in key order.
    func singles(_ thread: Int, after count: Int) -> [Entry] {
        var slots: [Int: TortureValue?] = [:]
        // The last write of a slot decides, so the latest commits are enough.
        var number = count - 1
        while number >= 0, slots.count < Self.singleSlotCount {
            if let single = single(thread, number), !slots.keys.contains(single.slot) {
                slots.updateValue(single.value, forKey: single.slot)
            }
            number -= 1
        }
        return slots.keys.sorted().compactMap { slot in
            slots[slot]!.map { Entry(key: Self.singleKey(thread, slot), value: bytes($0)) }
        }
    }
}

extension TortureVerifier {
    /// What is wrong with the single writes of a database whose threads have so many commits.
    static func singleMistakes(
        _ found: [Entry], _ workload: TortureWorkload, positions: [Int], isAcknowledged: (Int) -> Bool
    ) -> [String] {
        var mistakes: [String] = []
        var rest = found[...]
        for (thread, position) in positions.enumerated() {
            let prefix = Array(TortureWorkload.prefix(thread).utf8)
            let own = Array(rest.prefix { $0.key.starts(with: prefix) })
            rest = rest.dropFirst(own.count)
            if own == workload.singles(thread, after: position) { continue }
            let isEarlierLegal = position > 0 && !isAcknowledged(thread)
            if isEarlierLegal, own == workload.singles(thread, after: position - 1) { continue }
            mistakes.append(
                "\(TortureWorkload.singlesName): what thread \(thread) wrote between its \(position) commits is not there"
            )
        }
        if !rest.isEmpty { mistakes.append("\(TortureWorkload.singlesName): entries that nobody wrote") }
        return mistakes
    }
}
