// One sorted sequence out of several: a loser tree over cursors.
//
// Each inner node of the tree keeps the loser of the match between the winners of its two subtrees; the overall
// winner is the current entry. Moving on plays only the matches between the winner's leaf and the root:
//
//                    winner: source 2                matches[1]
//                   ┌────────┴────────┐
//                matches[2]        matches[3]        k sources: leaf i is node i + k
//               ┌───┴───┐         ┌───┴───┐
//             src 0   src 1     src 2   src 3
//
// A match node keeps the head of its loser's key beside the loser's number, so that most matches are one comparison
// of integers that lie next to each other.

import ApusIO

/// The entries of all sources in order. An entry that several sources have (same key and trailer) appears once, from
/// the source of the lowest index.
///
/// Invariant of the unsafe parts: `sources` holds `count` references, retained by `owners`; `matches` has room for
/// `count` nodes. Both live as long as the object.
final class MergingCursor: EntryCursor {
    private struct Contender {
        /// The first 8 bytes of the key; all ones for a source that has ended (in either direction).
        var head: UInt64
        var source: Int
    }

    private let owners: [EntryCursor]
    private let count: Int
    private let sources: UnsafeMutablePointer<Unmanaged<EntryCursor>>
    private let matches: UnsafeMutablePointer<Contender>
    @exclusivity(unchecked) private var winner = 0
    @exclusivity(unchecked) private var isForward = true
    /// Set once two sources were seen with the same entry. That hardly ever happens, so only then does every step
    /// look for equals of the current entry.
    @exclusivity(unchecked) private var hasTies = false

    init(_ sources: [EntryCursor]) {
        owners = sources
        count = sources.count
        self.sources = .allocate(capacity: max(count, 1))
        matches = .allocate(capacity: max(count, 1))
        for (index, source) in sources.enumerated() {
            (self.sources + index).initialize(to: Unmanaged.passUnretained(source))
        }
        super.init()
        newestSequence = sources.map(\.newestSequence).max() ?? .zero
    }

    deinit {
        sources.deallocate()
        matches.deallocate()
    }

    // MARK: - Positioning

    override func seekToFirst() throws(ApusError) {
        try position(forward: true) { source throws(ApusError) in try source.seekToFirst() }
    }

    override func seekToLast() throws(ApusError) {
        try position(forward: false) { source throws(ApusError) in try source.seekToLast() }
    }

    override func seek(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) {
        try position(forward: true) { source throws(ApusError) in try source.seek(key, trailer) }
    }

    override func seekBefore(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) {
        try position(forward: false) { source throws(ApusError) in try source.seekBefore(key, trailer) }
    }

    private func position(
        forward: Bool,
        _ move: (EntryCursor) throws(ApusError) -> Void
    ) throws(ApusError) {
        isValid = false
        for index in 0..<count { try move(owners[index]) }
        isForward = forward
        playAll()
    }

    override func next() throws(ApusError) {
        precondition(isValid)
        isValid = false
        if !isForward { return try turn(forward: true) }
        if hasTies { try skipEquals() }
        try sources[winner].withBorrowed { (source) throws(ApusError) in try source.next() }
        replay()
    }

    override func previous() throws(ApusError) {
        precondition(isValid)
        isValid = false
        if isForward { return try turn(forward: false) }
        if hasTies { try skipEquals() }
        try sources[winner].withBorrowed { (source) throws(ApusError) in try source.previous() }
        replay()
    }

    override func precedingKeyDiffers() -> Bool {
        !isForward && sources[winner]._withUnsafeGuaranteedRef { $0.precedingKeyDiffers() } && rivalsDiffer()
    }

    override func followingKeyDiffers() -> Bool {
        isForward && sources[winner]._withUnsafeGuaranteedRef { $0.followingKeyDiffers() } && rivalsDiffer()
    }

    /// True if no other source stands on the current key. The next one of them has lost to the winner directly, so its
    /// match lies on the winner's way to the root.
    private func rivalsDiffer() -> Bool {
        var node = (winner &+ count) / 2
        while node >= 1 {
            let differs = sources[matches[node].source]._withUnsafeGuaranteedRef { rival in
                !rival.isValid || !equalBytes(rival.key, key)
            }
            if !differs { return false }
            node /= 2
        }
        return true
    }

    /// Leaves the current entry in the other direction: the other sources stand on the wrong side of it.
    private func turn(forward: Bool) throws(ApusError) {
        let current = owners[winner]
        for index in 0..<count where index != winner {
            let source = owners[index]
            if forward {
                try source.seek(current.key, current.trailer)
                if source.isValid && source.trailer == current.trailer && equalBytes(source.key, current.key) {
                    try source.next()
                }
            } else {
                try source.seekBefore(current.key, current.trailer)
            }
        }
        if forward { try current.next() } else { try current.previous() }
        isForward = forward
        playAll()
    }

    /// Moves every other source that has the current entry too past it.
    private func skipEquals() throws(ApusError) {
        let current = owners[winner]
        var moved = false
        for index in 0..<count where index != winner {
            let source = owners[index]
            guard source.isValid && source.trailer == current.trailer && equalBytes(source.key, current.key) else {
                continue
            }
            if isForward { try source.next() } else { try source.previous() }
            moved = true
        }
        // The current entry is still the first of all, so this finds the same winner and repairs the matches.
        if moved { playAll() }
        isValid = false
    }

    override func next(hiddenUntil end: UnsafeRawBufferPointer, below sequence: SequenceNumber) throws(ApusError) {
        precondition(isValid)
        if !isForward || !isAnySourceHidden(below: sequence) { return try next() }
        isValid = false
        if hasTies { try skipEquals() }
        isValid = false
        var stepWinner = true
        for index in 0..<count {
            let source = owners[index]
            guard source.isValid && source.newestSequence < sequence && compareBytes(source.key, end) < 0 else {
                continue
            }
            if index == winner { stepWinner = false }
            try source.seek(end, .first)
        }
        if stepWinner { try owners[winner].next() }
        playAll()
    }

    override func previous(
        hiddenFrom start: UnsafeRawBufferPointer,
        below sequence: SequenceNumber
    ) throws(ApusError) {
        precondition(isValid)
        if isForward || !isAnySourceHidden(below: sequence) { return try previous() }
        isValid = false
        if hasTies { try skipEquals() }
        isValid = false
        var stepWinner = true
        for index in 0..<count {
            let source = owners[index]
            guard source.isValid && source.newestSequence < sequence && compareBytes(source.key, start) >= 0 else {
                continue
            }
            if index == winner { stepWinner = false }
            try source.seekBefore(start, .first)
        }
        if stepWinner { try owners[winner].previous() }
        playAll()
    }

    private func isAnySourceHidden(below sequence: SequenceNumber) -> Bool {
        owners.contains { $0.isValid && $0.newestSequence < sequence }
    }

    // MARK: - Matches

    @inline(__always)
    private func contender(_ index: Int) -> Contender {
        sources[index]._withUnsafeGuaranteedRef { source in
            guard source.isValid else { return Contender(head: .max, source: index) }
            let head = keyHead(source.key)
            // Backward the largest key wins: with inverted heads the smaller head still does.
            return Contender(head: isForward ? head : ~head, source: index)
        }
    }

    /// True if `a` comes before `b` in the direction of travel.
    @inline(__always)
    private func wins(_ a: Contender, _ b: Contender) -> Bool {
        if a.head != b.head { return a.head < b.head }
        return winsAmongEqualHeads(a.source, b.source)
    }

    private func winsAmongEqualHeads(_ a: Int, _ b: Int) -> Bool {
        sources[a]._withUnsafeGuaranteedRef { first in
            sources[b]._withUnsafeGuaranteedRef { second in
                guard first.isValid && second.isValid else { return first.isValid || (!second.isValid && a < b) }
                let order = compareInternal(first.key, first.trailer, second.key, second.trailer)
                if order == 0 {
                    hasTies = true
                    return a < b
                }
                return isForward ? order < 0 : order > 0
            }
        }
    }

    /// Plays every match anew.
    private func playAll() {
        guard count > 0 else { return }
        winner = count == 1 ? 0 : play(1).source
        show()
    }

    /// The winner below a node, with all losers on the way noted.
    private func play(_ node: Int) -> Contender {
        if node >= count { return contender(node - count) }
        let left = play(2 * node)
        let right = play(2 * node + 1)
        // Equal entries go to the lower source, on whichever side it is.
        if wins(left, right) {
            matches[node] = right
            return left
        }
        matches[node] = left
        return right
    }

    /// Plays the matches of the source that has moved.
    @inline(__always)
    private func replay() {
        var best = contender(winner)
        var node = (winner &+ count) / 2
        while node >= 1 {
            let rival = matches[node]
            if wins(rival, best) {
                matches[node] = best
                best = rival
            }
            node /= 2
        }
        winner = best.source
        show()
    }

    @inline(__always)
    private func show() {
        sources[winner]._withUnsafeGuaranteedRef { source in
            isValid = source.isValid
            key = source.key
            trailer = source.trailer
            payload = source.payload
        }
    }
}
