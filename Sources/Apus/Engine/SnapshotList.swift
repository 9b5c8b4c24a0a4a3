// The sequence numbers that open snapshots and transactions still read at. Compaction keeps for each of them what it
// sees, and expires nothing that was alive when it was taken.

/// Guarded by the engine's structure lock.
struct SnapshotList {
    struct Pin: Sendable {
        fileprivate let id: UInt64
        let sequence: SequenceNumber
        /// ms since 1970: what counts as expired for this snapshot.
        let time: UInt64
    }

    /// By their numbers, ascending.
    private var pins: [Pin] = []
    private var nextID: UInt64 = 0

    var count: Int { pins.count }

    mutating func add(_ sequence: SequenceNumber, time: UInt64) -> Pin {
        defer { nextID += 1 }
        let pin = Pin(id: nextID, sequence: sequence, time: time)
        pins.append(pin)
        return pin
    }

    mutating func remove(_ pin: Pin) {
        // Whoever came last nearly always goes first.
        var position = pins.count - 1
        while position >= 0, pins[position].id > pin.id { position -= 1 }
        if position >= 0, pins[position].id == pin.id { pins.remove(at: position) }
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
