// What one search needs besides the index: the beam of nearest candidates, the set of visited slots, buffers for one
// list of neighbours. Pooled, because allocating and clearing it would cost as much as a search.
//
// Unsafe invariants: each buffer is allocated once with the capacity kept beside it; `visited` has a bit for every slot
// below `slotCapacity`, and all its bits are clear between searches. One search uses a scratch at a time.

/// A slot and how far away it is.
struct Candidate {
    var distance: Float
    /// The slot; the top bit says that its neighbours have been looked at.
    var tagged: UInt32

    static let expandedBit: UInt32 = 1 << 31

    @inline(__always) var slot: UInt32 { tagged & ~Candidate.expandedBit }
    @inline(__always) var isExpanded: Bool { tagged & Candidate.expandedBit != 0 }
}

final class SearchScratch: @unchecked Sendable {
    /// A list of neighbours, or any other handful of slots whose distances are computed together.
    static let batchCapacity = 256

    /// The `count` nearest seen, nearest first.
    private(set) var beam: UnsafeMutablePointer<Candidate>
    private(set) var beamCapacity: Int
    var count = 0

    private var visited: UnsafeMutablePointer<UInt64>
    private(set) var slotCapacity: Int
    /// Every slot whose bit is set, to clear them again.
    var seen: [UInt32] = []

    let rows: UnsafeMutablePointer<UnsafePointer<Int8>?>
    let slots: UnsafeMutablePointer<UInt32>
    let dots: UnsafeMutablePointer<Int32>
    /// Codes of a node, widened to be a query.
    let widened: UnsafeMutablePointer<Int16>

    init(dimension: Int) {
        beamCapacity = 256
        beam = .allocate(capacity: beamCapacity + 1)
        slotCapacity = 1 << 16
        visited = .allocate(capacity: slotCapacity / 64)
        visited.initialize(repeating: 0, count: slotCapacity / 64)
        rows = .allocate(capacity: SearchScratch.batchCapacity)
        slots = .allocate(capacity: SearchScratch.batchCapacity)
        dots = .allocate(capacity: SearchScratch.batchCapacity)
        widened = .allocate(capacity: (dimension + 31) / 32 * 32)
        seen.reserveCapacity(4096)
    }

    deinit {
        beam.deallocate()
        visited.deallocate()
        rows.deallocate()
        slots.deallocate()
        dots.deallocate()
        widened.deallocate()
    }

    /// Empties the scratch and makes it large enough.
    func prepare(beamWidth: Int, slotCount: Int) {
        forgetVisits()
        count = 0
        if beamWidth > beamCapacity {
            beam.deallocate()
            beamCapacity = max(beamWidth, 2 * beamCapacity)
            beam = .allocate(capacity: beamCapacity + 1)
        }
        if slotCount > slotCapacity {
            visited.deallocate()
            slotCapacity = (max(slotCount, 2 * slotCapacity) + 63) / 64 * 64
            visited = .allocate(capacity: slotCapacity / 64)
            visited.initialize(repeating: 0, count: slotCapacity / 64)
        }
    }

    func forgetVisits() {
        for slot in seen { visited[Int(slot >> 6)] = 0 }
        seen.removeAll(keepingCapacity: true)
    }

    /// True the first time. Slots that were added after `prepare` count as visited.
    @inline(__always)
    func visit(_ slot: UInt32) -> Bool {
        guard Int(slot) < slotCapacity else { return false }
        let bit = UInt64(1) << UInt64(slot & 63)
        let word = visited[Int(slot >> 6)]
        if word & bit != 0 { return false }
        visited[Int(slot >> 6)] = word | bit
        seen.append(slot)
        return true
    }

    /// Puts a candidate in its place if it is among the `width` nearest. Returns its position, or nil.
    @inline(__always)
    func offer(_ slot: UInt32, _ distance: Float, width: Int) -> Int? {
        if count == width, !(distance < beam[width &- 1].distance) { return nil }
        var low = 0
        var high = count
        while low < high {
            let middle = (low &+ high) >> 1
            if beam[middle].distance <= distance { low = middle &+ 1 } else { high = middle }
        }
        let moved = (count < width ? count : width &- 1) &- low
        (beam + low + 1).update(from: beam + low, count: moved)
        beam[low] = Candidate(distance: distance, tagged: slot)
        if count < width { count &+= 1 }
        return low
    }
}
