// Reading a manifest, without changing anything.  FORMAT.md §6.5
//
// CURRENT vouches for a prefix (what was durable when it was written), every frame for what was durable when it was
// made. So only the last edit can be torn, and it was never acknowledged; anything else that is not valid is damage.

import ApusIO

/// What was read of a manifest.
struct ManifestContent {
    var state: ManifestState
    /// Behind the last edit.
    var byteCount: UInt64
    /// Bytes of a torn edit behind it.
    var discardedByteCount: UInt64
    var editCount: UInt64
    /// Only in salvage mode.
    var losses: [SalvageLoss]
}

enum ManifestReader {
    /// Reads the manifest that `current` names.
    static func read(
        _ current: CurrentFile,
        in directory: String,
        on fileSystem: any FileSystem,
        mode: RecoveryMode
    ) throws(ApusError) -> ManifestContent {
        let reader = try SegmentReader(.manifest(current.manifest), in: directory, on: fileSystem)
        var losses: [SalvageLoss] = []
        let header = try header(of: reader, mode: mode, &losses)
        if mode == .strict {
            try reader.checkCapacity(header.capacity)
            guard current.manifestByteCount <= header.capacity else {
                throw .corruption(
                    "CURRENT says that \(current.manifestByteCount) bytes are durable of \(header.capacity)",
                    file: reader.path,
                    offset: header.capacity
                )
            }
        }
        if mode == .salvage, reader.byteCount < header.capacity {
            losses.append(
                SalvageLoss(
                    file: reader.path,
                    offset: reader.byteCount,
                    byteCount: header.capacity - reader.byteCount,
                    what: "the file was cut off"
                )
            )
        }
        let limit = min(reader.byteCount, header.capacity)
        let isClean = mode == .strict && current.state == .clean
        let walk = FrameWalk(
            reader,
            header.databaseID,
            limit: limit,
            sealedByteCount: isClean ? current.manifestByteCount : nil,
            durableByteCount: current.manifestByteCount,
            mode: mode
        )
        let content = try collect(walk, header, mode: mode, losses)
        if mode == .strict { try check(content, against: current, reader.path) }
        return content
    }

    private static func header(
        of reader: SegmentReader,
        mode: RecoveryMode,
        _ losses: inout [SalvageLoss]
    ) throws(ApusError) -> SegmentHeader {
        switch try reader.start(.manifest) {
        case .header(let header): return header
        case .none(let reason, _):
            guard mode == .salvage, reader.byteCount >= UInt64(SegmentHeader.byteCount) else {
                throw .corruption(reason, file: reader.path, offset: 0)
            }
            // The id as it stands there: if it is not what was damaged, the frames can still be recognised.
            losses.append(
                SalvageLoss(file: reader.path, offset: 0, byteCount: UInt64(SegmentHeader.byteCount), what: reason)
            )
            let bytes = try reader.bytes(at: 0, count: SegmentHeader.byteCount)
            let id = DatabaseID(first: bytes.littleEndian(at: 16), second: bytes.littleEndian(at: 24))
            return SegmentHeader(
                purpose: .manifest,
                number: reader.number,
                databaseID: id,
                capacity: reader.byteCount
            )
        }
    }

    private static func collect(
        _ walk: FrameWalk,
        _ header: SegmentHeader,
        mode: RecoveryMode,
        _ known: [SalvageLoss]
    ) throws(ApusError) -> ManifestContent {
        let path = walk.reader.path
        var state = ManifestState(databaseID: header.databaseID)
        var ordinal: UInt64 = 0
        var losses = known
        var refusals: [SalvageLoss] = []
        let end = try walk.run(
            lose: { losses.append($0) },
            each: { (offset, frame, payload) throws(ApusError) in
                guard frame.kind == FrameKind.edit.rawValue else {
                    throw .corruption("a frame of kind \(frame.kind) is no version edit", file: path, offset: offset)
                }
                guard frame.sequence.rawValue == ordinal + 1 || (mode == .salvage && frame.sequence.rawValue > ordinal)
                else {
                    throw .corruption(
                        "edit \(frame.sequence.rawValue) follows edit \(ordinal)",
                        file: path,
                        offset: offset
                    )
                }
                ordinal = frame.sequence.rawValue
                let edit: VersionEdit
                do throws(DecodingFailure) { edit = try VersionEdit(decoding: payload) } catch {
                    throw .corruption(error.what, file: path, offset: offset)
                }
                try state.apply(edit) { (_, failure) throws(ApusError) in
                    guard mode == .salvage else { throw .corruption(failure.what, file: path, offset: offset) }
                    refusals.append(SalvageLoss(file: path, offset: offset, byteCount: 0, what: failure.what))
                }
            }
        )
        for keyspace in state.keyspaces.values {
            for (level, tables) in keyspace.levels.enumerated() {
                do throws(DecodingFailure) {
                    try TableOrder.check(tables, level: level, keyspace: keyspace.id)
                } catch {
                    guard mode == .salvage else { throw .corruption(error.what, file: path) }
                    refusals.append(SalvageLoss(file: path, offset: end.offset, byteCount: 0, what: error.what))
                }
            }
        }
        return ManifestContent(
            state: state,
            byteCount: end.offset,
            discardedByteCount: end.discardedByteCount,
            editCount: ordinal,
            losses: losses + refusals
        )
    }

    private static func check(
        _ content: ManifestContent,
        against current: CurrentFile,
        _ path: String
    ) throws(ApusError) {
        guard content.editCount > 0, content.byteCount >= current.manifestByteCount else {
            throw .corruption(
                "the manifest ends before the \(current.manifestByteCount) bytes that CURRENT vouches for",
                file: path,
                offset: content.byteCount
            )
        }
        guard content.state.lastSequence >= current.lastSequence else {
            throw .corruption(
                "the manifest's last sequence is \(content.state.lastSequence.rawValue), CURRENT says"
                    + " \(current.lastSequence.rawValue)",
                file: path,
                offset: content.byteCount
            )
        }
        guard current.state == .open || content.state.cleanClose != nil else {
            throw .corruption(
                "CURRENT says that the database was closed, the manifest does not",
                file: path,
                offset: content.byteCount
            )
        }
    }
}
