// The sequence numbers that open snapshots and transactions still read at. Compaction keeps for each of them what it
// sees, and expires nothing that was alive when it was taken.

/// Guarded by the engine's structure lock.
struct SnapshotList {
    struct Pin: Hashable, Sendable {
        fileprivate let id: UInt64
        let sequence: SequenceNumber
        /// ms since 1970: what counts as expired for this snapshot.
        let time: UInt64
    }

    private var pins: Set<Pin> = []
    private var nextID: UInt64 = 0

    var count: Int { pins.count }

    mutating func add(_ sequence: SequenceNumber, time: UInt64) -> Pin {
        defer { nextID += 1 }
        let pin = Pin(id: nextID, sequence: sequence, time: time)
        pins.insert(pin)
        return pin
    }

    mutating func remove(_ pin: Pin) {
        pins.remove(pin)
    }

    /// Ascending, each once.
    func sequences() -> [SequenceNumber] {
        Set(pins.map(\.sequence)).sorted()
    }

    func oldestSequence(or now: SequenceNumber) -> SequenceNumber {
        pins.reduce(now) { Swift.min($0, $1.sequence) }
    }

    func oldestTime(or now: UInt64) -> UInt64 {
        pins.reduce(now) { Swift.min($0, $1.time) }
    }
}
