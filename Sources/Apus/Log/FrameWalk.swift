// Walking the frames of a file, and deciding where they end.  FORMAT.md §3.4
//
// 1. A sealed file (its length is known from elsewhere) is valid up to exactly that length, or damaged.
// 2. In any other file the first invalid frame, at X, ends it, because a crash may leave anything after the last
//    synced byte; unless X is known to have been durable, which makes it damage:
//    a. X lies before a length that another file vouches for (CURRENT does for the manifest), or
//    b. a frame header after X, wherever it is, is valid and says that more than X bytes were durable when it was made.
//    A batch whose values lie in blob files is valid if they are whole, too: they are synced before the log is.
// 3. For 2b every multiple of 8 after X is tried: one checksum of 28 bytes each, so the cost is linear in the file's
//    length whatever it holds.
//
// Salvage goes on behind damage: with the next frame whose header and payload are both valid.

import ApusIO

/// Something that salvage could not read.
struct SalvageLoss: Sendable, Equatable {
    var file: String
    var offset: UInt64
    /// nil if nobody can tell.
    var byteCount: UInt64?
    var what: String
}

/// What to do about damage.
enum RecoveryMode: Sendable {
    /// Throw.
    case strict
    /// Note it and go on.
    case salvage
}

/// The frames of one file, in order.
struct FrameWalk {
    /// Where and how the frames ended.
    struct End: Equatable, Sendable {
        /// Behind the last valid frame.
        var offset: UInt64
        /// Bytes behind it that recognisably belong to frames that a crash tore: 0 after a clean end.
        var discardedByteCount: UInt64
    }

    let reader: SegmentReader
    let place: FramePlace
    /// The exact end of the frames, if it is known (a sealed segment, a clean close).
    var sealedByteCount: UInt64?
    /// Everything before this offset was durable once.
    var durableByteCount: UInt64
    /// No frame reaches beyond.
    var limit: UInt64
    var mode: RecoveryMode
    /// Puts values back into batches that were separated; without it such batches are shown as they stand.
    var values: LoggedValues?

    /// - Precondition: `limit` is within the file.
    init(
        _ reader: SegmentReader,
        _ databaseID: DatabaseID,
        limit: UInt64,
        sealedByteCount: UInt64? = nil,
        durableByteCount: UInt64 = 0,
        mode: RecoveryMode,
        values: LoggedValues? = nil
    ) {
        precondition(limit <= reader.byteCount)
        self.reader = reader
        place = FramePlace(databaseID, reader.number)
        self.limit = limit
        self.sealedByteCount = sealedByteCount
        self.durableByteCount = durableByteCount
        self.mode = mode
        self.values = values
    }

    /// Calls `body` for each frame with its offset, header and payload, which is valid during the call. What `body`
    /// throws ends the walk. In salvage mode `lose` is told of damage before the frame behind it.
    func run(
        lose: (SalvageLoss) -> Void,
        each body: (UInt64, FrameHeader, UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError) -> End {
        let limit = min(limit, sealedByteCount ?? .max)
        var offset = UInt64(SegmentHeader.byteCount)
        guard offset <= limit else {
            let damage = ApusError.corruption("the file has no room for frames", file: reader.path, offset: limit)
            guard mode == .salvage else { throw damage }
            lose(SalvageLoss(file: reader.path, offset: 0, byteCount: limit, what: damage.message))
            return End(offset: limit, discardedByteCount: 0)
        }
        var evidence = Evidence()
        while offset != limit {
            switch try frame(at: offset, limit: limit) {
            case .valid(let header, let payload):
                try body(offset, header, payload)
                offset += header.frameByteCount
            case .invalid(let flaw, let header):
                guard let damage = try damage(at: offset, limit: limit, flaw, &evidence) else {
                    return End(offset: offset, discardedByteCount: try tornByteCount(at: offset, header, limit: limit))
                }
                guard mode == .salvage else { throw damage }
                let next = try nextFrame(after: offset, skipping: header, limit: limit)
                lose(
                    SalvageLoss(
                        file: reader.path,
                        offset: offset,
                        byteCount: (next ?? limit) - offset,
                        what: damage.message
                    )
                )
                guard let next else { return End(offset: limit, discardedByteCount: 0) }
                offset = next
            }
        }
        return End(offset: offset, discardedByteCount: 0)
    }

    private enum Frame {
        case valid(FrameHeader, UnsafeRawBufferPointer)
        /// The header is given if it is valid in itself.
        case invalid(ApusError, FrameHeader?)
    }

    private func frame(at offset: UInt64, limit: UInt64) throws(ApusError) -> Frame {
        guard offset <= limit, limit - offset >= UInt64(FrameHeader.byteCount) else {
            return .invalid(flaw("no frame fits here", at: offset), nil)
        }
        let start = try reader.bytes(at: offset, count: FrameHeader.byteCount)
        guard let header = FrameHeader.decode(start.baseAddress!, at: offset, limit: limit, place) else {
            return .invalid(flaw("a frame header is damaged", at: offset), nil)
        }
        let stored = try reader.bytes(
            at: offset + UInt64(FrameHeader.byteCount),
            count: Int(header.frameByteCount) - FrameHeader.byteCount
        )
        guard header.matches(stored, at: offset, place) else {
            return .invalid(flaw("a frame's payload is damaged", at: offset), header)
        }
        let payload = UnsafeRawBufferPointer(rebasing: stored[..<header.payloadByteCount])
        guard let values, header.kind == FrameKind.separatedBatch.rawValue else { return .valid(header, payload) }
        switch try values.resolve(payload, header.sequence) {
        case .whole(let batch): return .valid(header, batch)
        case .torn(let flaw): return .invalid(flaw, header)
        }
    }

    private func flaw(_ what: String, at offset: UInt64) -> ApusError {
        .corruption(what, file: reader.path, offset: offset)
    }

    /// The frame header that vouches for the most bytes so far. Headers before it vouch for less than the offset that
    /// was asked about then, so a later question about a later offset need not look at them again.
    private struct Evidence {
        var position: UInt64 = 0
        var syncedByteCount: UInt64 = 0
    }

    /// The error if the invalid frame at `offset` cannot be the work of a crash, else nil. Offsets ascend from call to
    /// call, so all calls together scan the file once.
    private func damage(
        at offset: UInt64,
        limit: UInt64,
        _ flaw: ApusError,
        _ evidence: inout Evidence
    ) throws(ApusError) -> ApusError? {
        // A value's flaw lies in another file.
        let log = flaw.file == reader.path ? "the file" : reader.path
        func damage(_ proof: String) -> ApusError {
            var damage = flaw
            damage.message += "; " + proof
            return damage
        }
        if sealedByteCount != nil { return damage("\(log) is sealed up to offset \(limit)") }
        if offset < durableByteCount { return damage("\(log) was durable up to offset \(durableByteCount)") }
        if evidence.syncedByteCount <= offset {
            let start = max(offset, evidence.position) + FrameHeader.alignment
            try scan(from: start, limit: limit) { (position, header) throws(ApusError) in
                guard header.syncedByteCount > offset else { return position + FrameHeader.alignment }
                evidence = Evidence(position: position, syncedByteCount: header.syncedByteCount)
                return nil
            }
        }
        guard evidence.syncedByteCount > offset else { return nil }
        return damage("the frame at offset \(evidence.position) of \(log) proves that it was durable")
    }

    /// How far recognisable remains of torn frames reach from `offset`.
    private func tornByteCount(at offset: UInt64, _ header: FrameHeader?, limit: UInt64) throws(ApusError) -> UInt64 {
        var end = offset + (header?.frameByteCount ?? 0)
        try scan(from: max(end, offset + FrameHeader.alignment), limit: limit) { (position, header) throws(ApusError) in
            end = position + header.frameByteCount
            return end
        }
        return end - offset
    }

    /// The first entirely valid frame after the damage at `offset`. Frames whose header is valid are skipped whole,
    /// so no byte is checksummed twice.
    private func nextFrame(
        after offset: UInt64,
        skipping header: FrameHeader?,
        limit: UInt64
    ) throws(ApusError) -> UInt64? {
        var found: UInt64?
        let start = offset + (header?.frameByteCount ?? FrameHeader.alignment)
        try scan(from: start, limit: limit) { (position, header) throws(ApusError) in
            if case .valid = try self.frame(at: position, limit: limit) { found = position }
            return found == nil ? position + header.frameByteCount : nil
        }
        return found
    }

    /// Calls `visit` for valid frame headers at multiples of 8 from `start`; it returns where to go on, or nil to stop.
    private func scan(
        from start: UInt64,
        limit: UInt64,
        _ visit: (UInt64, FrameHeader) throws(ApusError) -> UInt64?
    ) throws(ApusError) {
        let headerByteCount = UInt64(FrameHeader.byteCount)
        var position = start
        while position <= limit, limit - position >= headerByteCount {
            let stretch = try reader.stretch(at: position, atLeast: FrameHeader.byteCount)
            let base = position
            let last = min(base + UInt64(stretch.count), limit) - headerByteCount
            var found: FrameHeader?
            // Most of what is scanned is reserved space that was never written, and zeros are no header.
            if stretch.isZero { position = (last / FrameHeader.alignment + 1) * FrameHeader.alignment }
            while position <= last {
                let candidate = stretch.baseAddress! + Int(position - base)
                if let header = FrameHeader.decode(candidate, at: position, limit: limit, place) {
                    found = header
                    break
                }
                position += FrameHeader.alignment
            }
            guard let found else { continue }
            guard let next = try visit(position, found) else { return }
            position = next
        }
    }
}

extension UnsafeRawBufferPointer {
    /// At the speed of the C library's comparison: each byte equals its neighbour, and the first is zero.
    fileprivate var isZero: Bool {
        guard let first, first == 0 else { return isEmpty }
        return equalBytes(
            UnsafeRawBufferPointer(rebasing: self[..<(count - 1)]),
            UnsafeRawBufferPointer(rebasing: self[1...])
        )
    }
}

extension FrameWalk {
    /// Whether the file holds any valid frame header at all: none can be there before the segment header is durable.
    func holdsFrameHeader() throws(ApusError) -> Bool {
        var found = false
        try scan(from: UInt64(SegmentHeader.byteCount), limit: limit) { (_, _) throws(ApusError) in
            found = true
            return nil
        }
        return found
    }
}
