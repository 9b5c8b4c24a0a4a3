// Hides every entry newer than a sequence number: what a transaction's snapshot sees of the shared sources, before its
// own writes are laid over them.

import ApusIO

final class CutoffCursor: EntryCursor {
    private let source: EntryCursor
    private let newest: SequenceNumber

    init(_ source: EntryCursor, newest: SequenceNumber) {
        self.source = source
        self.newest = newest
    }

    override func seekToFirst() throws(ApusError) {
        try source.seekToFirst()
        try skipForward()
    }

    override func seekToLast() throws(ApusError) {
        try source.seekToLast()
        try skipBackward()
    }

    override func seek(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) {
        try source.seek(key, trailer)
        try skipForward()
    }

    override func seekBefore(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) throws(ApusError) {
        try source.seekBefore(key, trailer)
        try skipBackward()
    }

    override func next() throws(ApusError) {
        try source.next()
        try skipForward()
    }

    override func previous() throws(ApusError) {
        try source.previous()
        try skipBackward()
    }

    override func next(hiddenUntil end: UnsafeRawBufferPointer, below sequence: SequenceNumber) throws(ApusError) {
        try source.next(hiddenUntil: end, below: sequence)
        try skipForward()
    }

    override func previous(
        hiddenFrom start: UnsafeRawBufferPointer, below sequence: SequenceNumber
    ) throws(ApusError) {
        try source.previous(hiddenFrom: start, below: sequence)
        try skipBackward()
    }

    private func skipForward() throws(ApusError) {
        while source.isValid, source.trailer.sequence > newest { try source.next() }
        show()
    }

    private func skipBackward() throws(ApusError) {
        while source.isValid, source.trailer.sequence > newest { try source.previous() }
        show()
    }

    private func show() {
        isValid = source.isValid
        key = source.key
        trailer = source.trailer
        payload = source.payload
    }
}

extension RangeDeletions {
    /// The deletions that a reader at `sequence` sees.
    func atMost(_ sequence: SequenceNumber) -> RangeDeletions {
        let all = all()
        return all.allSatisfy { $0.sequence <= sequence }
            ? self : RangeDeletions(all.filter { $0.sequence <= sequence })
    }
}
