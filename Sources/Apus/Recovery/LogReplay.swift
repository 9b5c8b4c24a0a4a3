// Reading the log back: every batch of the live segments, in commit order, without changing anything.  FORMAT.md §3.4
//
// 1. Read the header of every segment that the manifest lists. Those that never came into use (no header, and no
//    frame either) can only be the newest ones.
// 2. Check the chain: each segment names the one before it, where that ends, and its last sequence number.
// 3. Walk the frames. A segment with a successor is sealed, so all of it must be valid; the newest one may end in
//    what a crash tore, unless the database was closed in order, which seals it too.
//
// Replay never repairs: whoever opens the database writes what it got here into new files, and does not trust that
// what it read is durable.

import ApusIO

/// One pass over the live log.
struct LogReplay {
    struct Result: Sendable, Equatable {
        /// Of the last batch, or of the segments before; zero if there is no segment in use.
        var lastSequence = SequenceNumber.zero
        var batchCount: UInt64 = 0
        /// Bytes of frames that were replayed.
        var byteCount: UInt64 = 0
        /// The segment with which the log ends and the offset behind its last batch; nil if none is in use.
        var end: (number: FileNumber, offset: UInt64)?
        /// Bytes of batches behind the end that a crash tore. None of them was acknowledged as durable.
        var discardedByteCount: UInt64 = 0
        /// Only in salvage mode.
        var losses: [SalvageLoss] = []

        static func == (a: Result, b: Result) -> Bool {
            a.lastSequence == b.lastSequence && a.batchCount == b.batchCount && a.byteCount == b.byteCount
                && a.end?.number == b.end?.number && a.end?.offset == b.end?.offset
                && a.discardedByteCount == b.discardedByteCount && a.losses == b.losses
        }
    }

    let directory: String
    let fileSystem: any FileSystem
    let manifest: ManifestState
    var mode = RecoveryMode.strict

    /// Calls `body` with each batch: the sequence number of its first entry, and its payload, valid during the call.
    /// After an error the batches seen so far mean nothing: damage may lie before them.
    func run(
        _ body: (SequenceNumber, UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError) -> Result {
        var result = Result()
        let segments = try segmentsInUse(&result.losses)
        if let close = manifest.cleanClose, mode == .strict, segments.last?.number ?? 0 != close.logNumber {
            throw .corruption(
                "the database was closed with a log that is not there or empty",
                file: path(close.logNumber)
            )
        }
        for (index, segment) in segments.enumerated() {
            let successor = index + 1 < segments.count ? segments[index + 1] : nil
            try checkChain(segment, after: index > 0 ? segments[index - 1] : nil, &result)
            try replay(segment, before: successor, &result, body)
        }
        if mode == .strict, let close = manifest.cleanClose, result.lastSequence > close.lastSequence {
            throw .corruption(
                "the log goes on after the database was closed at sequence \(close.lastSequence.rawValue)",
                file: path(close.logNumber)
            )
        }
        return result
    }

    /// The blob files that batches of the log refer to, as far as it can be read. Reads all of it.
    func valueFileNumbers() throws(ApusError) -> Set<FileNumber> {
        var numbers: Set<FileNumber> = []
        for number in manifest.logNumbers {
            guard let reader = try? SegmentReader(.log(number), in: directory, on: fileSystem) else { continue }
            let walk = FrameWalk(reader, manifest.databaseID, limit: reader.byteCount, mode: .salvage)
            _ = try walk.run(
                lose: { _ in },
                each: { (_, frame, payload) throws(ApusError) in
                    guard frame.kind == FrameKind.separatedBatch.rawValue, var cursor = try? BatchCursor(payload)
                    else { return }
                    while let entry = (try? cursor.next()) ?? nil {
                        if let reference = entry.reference { numbers.insert(reference.file) }
                    }
                })
        }
        return numbers
    }

    // MARK: - Headers

    private struct Segment {
        var number: FileNumber
        /// nil only in salvage mode.
        var header: SegmentHeader?
    }

    private func path(_ number: FileNumber) -> String { FileName.log(number).path(in: directory) }

    /// The segments that came into use, oldest first.
    private func segmentsInUse(_ losses: inout [SalvageLoss]) throws(ApusError) -> [Segment] {
        var inUse: [Segment] = []
        var unused: FileNumber?
        for number in manifest.logNumbers {
            do throws(ApusError) {
                guard let segment = try segment(number) else {
                    unused = unused ?? number
                    continue
                }
                if let unused {
                    throw .corruption(
                        "the header of log \(unused) is gone, but log \(number) is in use",
                        file: path(unused)
                    )
                }
                inUse.append(segment)
            } catch {
                guard mode == .salvage, error.kind == .corruption else { throw error }
                losses.append(
                    SalvageLoss(file: path(number), offset: error.offset ?? 0, byteCount: nil, what: error.message)
                )
                let exists = try io { () throws(IOError) in try fileSystem.status(of: path(number)) != nil }
                if exists { inUse.append(Segment(number: number, header: nil)) }
            }
        }
        return inUse
    }

    /// nil if the segment never came into use.
    private func segment(_ number: FileNumber) throws(ApusError) -> Segment? {
        let reader = try SegmentReader(.log(number), in: directory, on: fileSystem)
        let registered = manifest.logs[number] ?? 0
        try reader.checkCapacity(registered)
        switch try reader.start(.log) {
        case .none(let reason, _):
            // The header is durable before the first frame is written: a frame proves that it was there.
            let walk = FrameWalk(reader, manifest.databaseID, limit: reader.byteCount, mode: mode)
            guard try !walk.holdsFrameHeader() else { throw .corruption(reason, file: reader.path, offset: 0) }
            return nil
        case .header(let header):
            guard header.databaseID == manifest.databaseID else {
                throw .corruption("the log belongs to database \(header.databaseID)", file: reader.path, offset: 16)
            }
            guard header.capacity >= registered else {
                throw .corruption(
                    "the header says that \(header.capacity) bytes were reserved, the manifest \(registered)",
                    file: reader.path,
                    offset: 32
                )
            }
            try reader.checkCapacity(header.capacity)
            return Segment(number: number, header: header)
        }
    }

    // MARK: - The chain

    private func checkChain(
        _ segment: Segment,
        after previous: Segment?,
        _ result: inout Result
    ) throws(ApusError) {
        guard let header = segment.header else { return }
        var damage: String?
        if let previous {
            if header.previousNumber != previous.number {
                damage = "the segment follows log \(header.previousNumber), but log \(previous.number) is before it"
            } else if header.previousLastSequence != result.lastSequence {
                damage =
                    "log \(previous.number) ended with sequence \(header.previousLastSequence.rawValue), but"
                    + " \(result.lastSequence.rawValue) is the last one found"
            }
        }
        if let damage {
            guard mode == .salvage else { throw .corruption(damage, file: path(segment.number), offset: 40) }
            result.losses.append(
                SalvageLoss(file: path(segment.number), offset: 40, byteCount: nil, what: damage)
            )
        }
        result.lastSequence = max(result.lastSequence, header.previousLastSequence)
    }

    // MARK: - Frames

    private func replay(
        _ segment: Segment,
        before successor: Segment?,
        _ result: inout Result,
        _ body: (SequenceNumber, UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError) {
        let reader = try SegmentReader(.log(segment.number), in: directory, on: fileSystem)
        let limit = min(reader.byteCount, segment.header?.capacity ?? .max)
        var sealed = successor?.header?.previousByteCount
        if successor == nil, let close = manifest.cleanClose, close.logNumber == segment.number {
            sealed = close.logByteCount
        }
        if let length = sealed, length > limit {
            let damage = ApusError.corruption(
                "the segment is sealed at \(length), behind its end",
                file: reader.path,
                offset: limit
            )
            guard mode == .salvage else { throw damage }
            result.losses.append(
                SalvageLoss(file: reader.path, offset: limit, byteCount: length - limit, what: damage.message)
            )
            sealed = limit
        }
        let walk = FrameWalk(
            reader,
            manifest.databaseID,
            limit: limit,
            sealedByteCount: sealed,
            mode: mode,
            values: LoggedValues(directory: directory, fileSystem: fileSystem, manifest: manifest, mode: mode)
        )
        var progress = result
        var losses: [SalvageLoss] = []
        let end = try walk.run(
            lose: { losses.append($0) },
            each: { (offset, frame, payload) throws(ApusError) in
                do throws(ApusError) {
                    let last = try lastSequence(of: frame, payload, after: progress.lastSequence, reader.path, offset)
                    progress.lastSequence = last
                } catch {
                    guard mode == .salvage else { throw error }
                    progress.losses.append(
                        SalvageLoss(
                            file: reader.path,
                            offset: offset,
                            byteCount: frame.frameByteCount,
                            what: error.message
                        )
                    )
                    return
                }
                progress.batchCount += 1
                progress.byteCount += frame.frameByteCount
                try body(frame.sequence, payload)
            }
        )
        progress.losses += losses
        progress.end = (segment.number, end.offset)
        progress.discardedByteCount = end.discardedByteCount
        result = progress
    }

    /// The sequence number of the batch's last entry. Throws if the frame is no batch that can stand here.
    private func lastSequence(
        of frame: FrameHeader,
        _ payload: UnsafeRawBufferPointer,
        after previous: SequenceNumber,
        _ path: String,
        _ offset: UInt64
    ) throws(ApusError) -> SequenceNumber {
        guard FrameKind(rawValue: frame.kind)?.isBatch == true else {
            throw .corruption("a frame of kind \(frame.kind) is no batch", file: path, offset: offset)
        }
        guard frame.sequence > previous else {
            throw .corruption(
                "sequence \(frame.sequence.rawValue) follows \(previous.rawValue)",
                file: path,
                offset: offset
            )
        }
        guard payload.count >= LogBatch.countByteCount else {
            throw .corruption("a batch is too short for its entry count", file: path, offset: offset)
        }
        let count: UInt32 = payload.littleEndian(at: 0)
        let last = frame.sequence.rawValue + UInt64(count) &- 1
        guard count > 0, Int(count) <= (payload.count - LogBatch.countByteCount) / LogBatch.minimumEntryByteCount,
            last <= SequenceNumber.max.rawValue
        else {
            throw .corruption(
                "a batch of \(payload.count) bytes cannot hold \(count) entries",
                file: path,
                offset: offset
            )
        }
        return SequenceNumber(last)
    }
}
