// Explaining files to people: files of frames and CURRENT here, tables and blob files in extensions. Every field is
// shown, and every damage at the offset where it is. A dump goes on behind damage as far as anything can be recognised.
// FORMAT.md §3, §6

import ApusIO

/// Explains files of a database directory; changes nothing. Throws only if a file cannot be read at all.
enum Dump {
    /// `CURRENT`, line by line.
    static func current(
        in directory: String,
        on fileSystem: any FileSystem,
        to output: DumpOutput
    ) throws(ApusError) {
        do throws(ApusError) {
            guard let current = try CurrentFile.read(in: directory, on: fileSystem) else {
                throw ApusError(.notFound, "there is no CURRENT", file: FileName.current.path(in: directory))
            }
            output("manifest       \(FileName.manifest(current.manifest).string)")
            output("state          \(current.state.rawValue)")
            output("durable bytes  \(current.manifestByteCount)")
            output("last sequence  \(current.lastSequence.rawValue)")
        } catch {
            guard error.kind == .corruption || error.kind == .unsupportedFormat else { throw error }
            output("damage: \(error.description)")
        }
    }

    /// A log segment: its header, each frame, each entry.
    static func log(
        _ number: FileNumber,
        in directory: String,
        on fileSystem: any FileSystem,
        to output: DumpOutput
    ) throws(ApusError) {
        try frames(.log(number), .log, in: directory, on: fileSystem, to: output) { frame, payload in
            batch(frame, payload, to: output)
        }
    }

    /// A manifest: its header, each edit, each change.
    static func manifest(
        _ number: FileNumber,
        in directory: String,
        on fileSystem: any FileSystem,
        to output: DumpOutput
    ) throws(ApusError) {
        try frames(.manifest(number), .manifest, in: directory, on: fileSystem, to: output) { frame, payload in
            edit(frame, payload, to: output)
        }
    }

    // MARK: - Frames

    private static func frames(
        _ name: FileName,
        _ purpose: SegmentHeader.Purpose,
        in directory: String,
        on fileSystem: any FileSystem,
        to output: DumpOutput,
        _ show: (FrameHeader, UnsafeRawBufferPointer) -> Void
    ) throws(ApusError) {
        let reader = try SegmentReader(name, in: directory, on: fileSystem)
        output("\(name.string): \(reader.byteCount) bytes")
        guard let (databaseID, capacity) = try header(reader, purpose, to: output) else { return }
        let walk = FrameWalk(
            reader,
            databaseID,
            limit: min(reader.byteCount, capacity ?? reader.byteCount),
            mode: .salvage
        )
        let end = try walk.run(
            lose: { loss in
                output("@\(loss.offset) damage, \(loss.byteCount ?? 0) bytes: \(loss.what)")
            },
            each: { (offset, frame, payload) throws(ApusError) in
                output(
                    "@\(offset) \(FrameKind(rawValue: frame.kind).map { "\($0)" } ?? "unknown kind \(frame.kind)")"
                        + " \(frame.sequence.rawValue), \(payload.count) bytes, synced up to \(frame.syncedByteCount)"
                )
                show(frame, payload)
            }
        )
        output(
            "@\(end.offset) end"
                + (end.discardedByteCount > 0 ? "; \(end.discardedByteCount) bytes of torn frames follow" : "")
        )
    }

    /// Shows the header, and returns what is needed to recognise frames; nil if there can be none.
    private static func header(
        _ reader: SegmentReader,
        _ purpose: SegmentHeader.Purpose,
        to output: DumpOutput
    ) throws(ApusError) -> (DatabaseID, capacity: UInt64?)? {
        let headerByteCount = SegmentHeader.byteCount
        do throws(ApusError) {
            switch try reader.start(purpose) {
            case .header(let header):
                show(header, to: output)
                if reader.byteCount < header.capacity {
                    output("@\(reader.byteCount) damage: the file is shorter than its capacity")
                }
                return (header.databaseID, header.capacity)
            case .none(let reason, let isZero):
                output(isZero ? "@0 no header: the file never came into use" : "@0 damage: \(reason)")
            }
        } catch {
            guard error.kind == .corruption || error.kind == .unsupportedFormat else { throw error }
            output("@\(error.offset ?? 0) damage: \(error.message)")
            if error.kind == .unsupportedFormat { return nil }
        }
        guard reader.byteCount >= UInt64(headerByteCount) else { return nil }
        // The id as it stands there: if it is not what was damaged, the frames can still be recognised.
        let bytes = try reader.bytes(at: 0, count: headerByteCount)
        return (DatabaseID(first: bytes.littleEndian(at: 16), second: bytes.littleEndian(at: 24)), nil)
    }

    private static func show(_ header: SegmentHeader, to output: DumpOutput) {
        output("@0 \(header.purpose), number \(header.number), database \(header.databaseID)")
        output("   capacity \(header.capacity)")
        if header.previousNumber > 0 {
            output("   follows log \(header.previousNumber), which ends at \(header.previousByteCount)")
        }
        if header.purpose == .log { output("   after sequence \(header.previousLastSequence.rawValue)") }
    }

    // MARK: - Batches

    private static func batch(_ frame: FrameHeader, _ payload: UnsafeRawBufferPointer, to output: DumpOutput) {
        var reader = ByteReader(payload)
        do throws(DecodingFailure) {
            let count = try reader.integer(UInt32.self, "entry count")
            for index in 0..<UInt64(count) {
                let number = try reader.integer(UInt8.self, "entry kind")
                guard let kind = EntryKind(rawValue: number) else {
                    throw DecodingFailure(what: "unknown entry kind \(number)")
                }
                let keyspace = try reader.narrow("keyspace id")
                let key = try reader.lengthPrefixed("key")
                let value = try reader.lengthPrefixed("payload")
                output(
                    "   \(frame.sequence.rawValue &+ index) \(kind) in \(keyspace): \(DumpText.quoted(key))"
                        + " \(DumpText.payload(kind, value))"
                )
            }
            if !reader.isAtEnd { throw DecodingFailure(what: "\(reader.remaining) bytes follow the last entry") }
        } catch {
            output("   damage: \(error.what)")
        }
    }

    // MARK: - Edits

    private static func edit(_ frame: FrameHeader, _ payload: UnsafeRawBufferPointer, to output: DumpOutput) {
        do throws(DecodingFailure) {
            for change in try VersionEdit(decoding: payload).changes { output("   \(describe(change))") }
        } catch {
            output("   damage: \(error.what)")
        }
    }

    private static func describe(_ change: VersionEdit.Change) -> String {
        switch change {
        case .databaseID(let id): "database \(id)"
        case .nextFileNumber(let number): "next file number \(number)"
        case .nextKeyspaceID(let id): "next keyspace id \(id)"
        case .lastSequence(let sequence): "last sequence \(sequence.rawValue)"
        case .keyspaceCreated(let id, let name, let settings):
            "keyspace \(id) created: \(DumpText.quoted(Array(name.utf8))), \(describe(settings))"
        case .keyspaceChanged(let id, let settings): "keyspace \(id) changed: \(describe(settings))"
        case .keyspaceDropped(let id): "keyspace \(id) dropped"
        case .tableAdded(let keyspace, let level, let table):
            "table \(table.number) added to level \(level) of keyspace \(keyspace): \(describe(table))"
        case .tableRemoved(let keyspace, let level, let number):
            "table \(number) removed from level \(level) of keyspace \(keyspace)"
        case .blobAdded(let keyspace, let blobFile):
            "blob file \(blobFile.number) added to keyspace \(keyspace): \(blobFile.byteCount) bytes, checksum"
                + " \(DumpText.hexadecimal(blobFile.checksum)), \(blobFile.valueCount) values,"
                + " \(blobFile.recordByteCount) bytes of records"
        case .blobRemoved(let keyspace, let number): "blob file \(number) removed from keyspace \(keyspace)"
        case .flushedSequence(let keyspace, let sequence):
            "keyspace \(keyspace) flushed up to sequence \(sequence.rawValue)"
        case .logCreated(let number, let byteCount): "log \(number) created with \(byteCount) bytes"
        case .logDeleted(let number): "log \(number) deleted"
        case .cleanClose(let close):
            "closed at sequence \(close.lastSequence.rawValue), log \(close.logNumber) ends at \(close.logByteCount)"
        }
    }

    private static func describe(_ table: TableMetadata) -> String {
        "\(table.byteCount) bytes, checksum \(DumpText.hexadecimal(table.checksum)), \(contents(of: table))"
    }

    /// What manifest and properties say of a table.
    static func contents(of table: TableMetadata) -> String {
        var text =
            "keys \(DumpText.quoted(table.smallest))\(table.largestIsExclusive ? "..<" : "...")"
            + "\(DumpText.quoted(table.largest)), sequences \(table.smallestSequence.rawValue) to"
            + " \(table.largestSequence.rawValue), \(table.entryCount) entries, \(table.deletionCount) deletions,"
            + " \(table.rangeDeletionCount) range deletions, \(table.rawByteCount) bytes raw, created at"
            + " \(table.createdAt)"
        if table.earliestExpiry > 0 { text += ", first expires at \(table.earliestExpiry)" }
        for share in table.blobReferences {
            text += ", \(share.valueCount) values of \(share.byteCount) bytes in blob file \(share.file)"
        }
        return text
    }

    private static func describe(_ settings: KeyspaceSettings) -> String {
        let style =
            switch settings.style {
            case .leveled: "leveled"
            case .fifo(let byteCount, let age): "FIFO of \(byteCount) bytes and \(age) ms"
            }
        return "\(style), codec \(settings.codec), at the bottom \(settings.bottomCodec), time to live"
            + " \(settings.timeToLive), merge operator \(DumpText.quoted(Array(settings.mergeOperatorName.utf8))),"
            + " \(settings.filterBitsPerKey) filter bits, separation from \(settings.separationThreshold) bytes"
            + (settings.isEphemeral ? ", ephemeral" : "")
    }
}
