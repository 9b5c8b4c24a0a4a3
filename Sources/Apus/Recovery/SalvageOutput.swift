// Writes what a salvage found into tables and blob files of the new database.

import ApusIO

/// The sorted entries of one keyspace, and where they go.
struct SalvageInput {
    var keyspace: UInt32
    var name: String
    var settings: KeyspaceSettings
    /// Of entries that several have, those of the earlier one are taken.
    var sources: [EntryCursor]
    var rangeDeletions: RangeDeletions
    var level: Int
    /// For the tables' metadata, ms since 1970.
    var createdAt: UInt64
}

/// One thread. Files that it wrote before it throws are the caller's to remove.
struct SalvageOutput {
    private let environment: CompactionEnvironment
    private let blockByteCount: Int
    private let tableByteCount: UInt64
    /// The source's.
    private let blobs: BlobStore
    private let sourcePath: @Sendable (FileName) -> String
    private let recorder: SalvageRecorder

    private static let blobFileByteCount: UInt64 = 256 << 20

    init(
        _ environment: CompactionEnvironment,
        _ tuning: Tuning,
        source: String,
        on fileSystem: any FileSystem,
        _ recorder: SalvageRecorder
    ) {
        self.environment = environment
        self.recorder = recorder
        blockByteCount = tuning.blockByteCount
        tableByteCount = tuning.levels.tableByteCount
        sourcePath = { $0.path(in: source) }
        blobs = BlobStore(pool: FilePool(fileSystem: fileSystem)) { FileName.blob($0).path(in: source) }
    }

    /// Writes all of `input`. Level 0 gets one table; from level 1 on a table is cut at its target size, between two
    /// keys.
    func write(_ input: SalvageInput) throws(ApusError) -> VersionEdit {
        var edit = VersionEdit()
        var lower: [UInt8]?
        var writer: TableWriter?
        let values = BlobOutput(environment, codec: input.settings.codec, targetByteCount: Self.blobFileByteCount)
        let cursor = MergingCursor(input.sources)
        var lastKey: [UInt8] = []
        var payload: [UInt8] = []
        func openWriter() throws(ApusError) -> TableWriter {
            if let writer { return writer }
            let opened = try makeWriter(input)
            writer = opened
            return opened
        }
        do throws(ApusError) {
            try cursor.seekToFirst()
            while cursor.isValid {
                if input.level > 0, let open = writer, open.estimatedByteCount >= tableByteCount,
                    !lastKey.withUnsafeBytes({ equalBytes($0, cursor.key) })
                {
                    let cut = [UInt8](cursor.key)
                    try finish(open, input, from: lower, to: cut, &edit)
                    writer = nil
                    lower = cut
                }
                if try move(cursor, input, to: values, &payload) {
                    let open = try openWriter()
                    try payload.withUnsafeBufferPointer { (payload) throws(ApusError) in
                        try open.add(cursor.key, cursor.trailer, UnsafeRawBufferPointer(payload))
                    }
                    lastKey.removeAll(keepingCapacity: true)
                    lastKey.append(contentsOf: cursor.key)
                }
                try cursor.next()
            }
            if writer != nil || !input.rangeDeletions.clipped(from: lower, to: nil).isEmpty {
                try finish(try openWriter(), input, from: lower, to: nil, &edit)
                writer = nil
            }
            for file in try values.finish() { edit.changes.append(.blobAdded(input.keyspace, file)) }
            return edit
        } catch {
            writer?.abandon()
            values.abandon()
            throw error
        }
    }

    private func makeWriter(_ input: SalvageInput) throws(ApusError) -> TableWriter {
        let number = environment.nextFileNumber()
        let path = environment.path(.table(number))
        let file = try io { () throws(IOError) in try environment.fileSystem.open(path, .create) }
        var options = TableWriterOptions()
        options.blockByteCount = blockByteCount
        options.codec = input.level == 0 ? input.settings.codec : input.settings.bottomCodec
        options.filterBitsPerKey = Int(input.settings.filterBitsPerKey)
        options.keyspace = input.keyspace
        return TableWriter(file: file, path: path, number: number, options: options, createdAt: input.createdAt)
    }

    /// Ends a table, with the range deletions of its part of the key space.
    private func finish(
        _ writer: TableWriter,
        _ input: SalvageInput,
        from lower: [UInt8]?,
        to upper: [UInt8]?,
        _ edit: inout VersionEdit
    ) throws(ApusError) {
        let deletions = input.rangeDeletions.clipped(from: lower, to: upper)
        if !deletions.isEmpty { try writer.addRangeDeletions(deletions) }
        let metadata = try writer.finish()
        recorder.recovered(
            input.keyspace,
            input.name,
            entries: metadata.entryCount,
            rangeDeletions: metadata.rangeDeletionCount
        )
        edit.changes.append(.tableAdded(input.keyspace, level: input.level, metadata))
    }

    /// Sets `payload` to that of the current entry; a separated value is copied to the new blob files. False if the
    /// value is lost.
    private func move(
        _ cursor: EntryCursor,
        _ input: SalvageInput,
        to values: BlobOutput,
        _ payload: inout [UInt8]
    ) throws(ApusError) -> Bool {
        payload.removeAll(keepingCapacity: true)
        guard case .separated(let reference, let expiresAt) = EntryPayload(cursor.trailer, cursor.payload) else {
            payload.append(contentsOf: cursor.payload)
            return true
        }
        guard let moved = try copy(reference, of: cursor.key, input, to: values) else { return false }
        if cursor.trailer.kind == .expiringSeparatedValue { payload.appendLittleEndian(expiresAt) }
        moved.encode(into: &payload)
        return true
    }

    /// nil if the value is lost. What is damaged is told apart from what cannot be written: the record is read, whole,
    /// before anything is.
    private func copy(
        _ reference: BlobReference,
        of key: UnsafeRawBufferPointer,
        _ input: SalvageInput,
        to values: BlobOutput
    ) throws(ApusError) -> BlobReference? {
        let path = sourcePath(.blob(reference.file))
        var failure: ApusError?
        do throws(ApusError) {
            return try blobs.withRecord(reference) { record throws(ApusError) in
                _ = try record.value(file: path, offset: reference.offset)
                do throws(ApusError) {
                    return try values.writer().append(copyOf: record)
                } catch {
                    failure = error
                    throw error
                }
            }
        } catch {
            guard failure == nil, error.isLoss else { throw error }
            recorder.lose(
                SalvageReport.Loss(
                    file: path,
                    offset: reference.offset,
                    byteCount: UInt64(reference.storedByteCount),
                    what: "a value is lost: \(error.message)",
                    keyspace: input.name,
                    lowerKey: [UInt8](key),
                    upperKey: [UInt8](key)
                )
            )
            return nil
        }
    }
}
