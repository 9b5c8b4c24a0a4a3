// Runs one compaction, or one flush: survivors in (CompactionCursor), tables and blob files out.
//
//   1. Walk the merged inputs. At each new user key ask the splitter whether the output ends here.
//   2. An output owns the keys from its cut up to the next one. It takes the range deletions within, cut off at both
//      ends: so all outputs together delete exactly what the inputs did, and no two of them share a key.
//   3. A piece without entries but with range deletions becomes a table too; one with neither becomes none.
//   4. Every file is synced before the job returns, so that what the manifest names next is whole, values included.
//
// On any error, cancellation included, everything written is removed again. The directory is not synced here: the
// engine does that once, before the manifest edit that makes the outputs part of the tree.

import ApusIO

/// What a compaction needs from the database.
struct CompactionEnvironment: Sendable {
    var fileSystem: any FileSystem
    /// Takes a number from the database's one counter.
    var nextFileNumber: @Sendable () -> FileNumber
    /// Where a file is.
    var path: @Sendable (FileName) -> String
    /// Asked for every 1024 entries read; true ends the compaction with an error of kind `closed`.
    var isCancelled: @Sendable () -> Bool = { false }
    /// Told for every 1024 entries read, and at the end, how many key and payload bytes have been read so far.
    var progress: @Sendable (UInt64) -> Void = { _ in }

    fileprivate func checkCancellation() throws(ApusError) {
        if isCancelled() { throw ApusError(.closed, "The compaction was cancelled") }
    }
}

/// One compaction's sources and settings. Not `Sendable`: the cursors belong to one thread.
struct CompactionInput {
    /// The inputs' entries, newest source first. A cursor that says its newest sequence number is skipped over where a
    /// range deletion covers it.
    var sources: [EntryCursor]
    /// The inputs' range deletions.
    var rangeDeletions: [RangeDeletions]
    /// 0 for a flush and for merging level 0 within itself.
    var targetLevel: Int
    /// The open snapshots, ascending; the newest visible sequence number comes last.
    var snapshots: [SequenceNumber]
    /// Entries that expire at or before this time (ms) are gone for every reader: the earlier of now and the time of
    /// the oldest snapshot.
    var expiryHorizon: UInt64
    /// The sources older than the inputs.
    var elision: TombstoneElision
    /// The tables of the level below the target, ascending (`CompactionPlan.grandparents`).
    var grandparents: [TableMetadata] = []
    /// Where outputs are cut.
    var policy: LevelPolicy
    var mergeOperator: (any MergeOperator)?
    /// See `CompactionRules`.
    var mayHoldOperands: Bool
    /// See `CompactionRules`.
    var newerSourcesHold: ((_ key: UnsafeRawBufferPointer) throws(ApusError) -> Bool)?
    var tableOptions: TableWriterOptions
    /// Milliseconds since 1970, for the outputs' metadata.
    var createdAt: UInt64
    /// The store behind separated values; nil if the keyspace has none.
    var blobs: BlobStore?
    /// Values of at least this many bytes go to blob files; nil: none do.
    var separationThreshold: Int?
    /// Blob files that are being emptied (`CompactionPlan.collectedBlobFiles`).
    var collectedBlobFiles: Set<FileNumber> = []
}

/// What a compaction has written. Every file is durable; their names are not yet.
struct CompactionOutput: Sendable {
    /// Ascending by key.
    var tables: [TableMetadata]
    var blobFiles: [BlobFileMetadata]
    var counts: CompactionCounts

    var bytesWritten: UInt64 { tables.totalByteCount + blobFiles.reduce(0) { $0 + $1.byteCount } }
}

/// A run of one compaction on the calling thread.
struct CompactionJob {
    private let environment: CompactionEnvironment
    private let input: CompactionInput
    private let cursor: CompactionCursor
    private let blobOutput: BlobOutput
    private var splitter: OutputSplitter
    private var deletions: SurvivingRangeDeletions

    /// The table being written; nil between two outputs.
    private var writer: TableWriter?
    private var finished: [TableMetadata] = []
    private var created: [FileNumber] = []

    private static let blobFileByteCount: UInt64 = 256 << 20

    /// Writes the outputs of `input`, or removes what it wrote and throws. Blocks for as long as that takes.
    static func run(
        _ input: CompactionInput,
        _ environment: CompactionEnvironment
    ) throws(ApusError) -> CompactionOutput {
        var job = CompactionJob(input, environment)
        do {
            return try job.run()
        } catch {
            job.removeOutputs()
            throw error
        }
    }

    private init(_ input: CompactionInput, _ environment: CompactionEnvironment) {
        self.input = input
        self.environment = environment
        let stripes = SnapshotStripes(input.snapshots)
        let rangeDeletions = RangeDeletions.merge(input.rangeDeletions)
        let rules = CompactionRules(
            stripes: stripes,
            rangeDeletions: rangeDeletions,
            elision: input.elision,
            targetLevel: input.targetLevel,
            expiryHorizon: input.expiryHorizon,
            mergeOperator: input.mergeOperator,
            mayHoldOperands: input.mayHoldOperands,
            blobs: input.blobs,
            newerSourcesHold: input.newerSourcesHold
        )
        let blobOutput = BlobOutput(
            environment,
            codec: input.tableOptions.codec,
            targetByteCount: Self.blobFileByteCount
        )
        self.blobOutput = blobOutput
        let values = input.blobs.map { store in
            ValueSeparation(
                threshold: input.separationThreshold,
                collected: input.collectedBlobFiles,
                store: store,
                output: blobOutput
            )
        }
        cursor = CompactionCursor(source: MergingCursor(input.sources), rules: rules, values: values) {
            counts throws(ApusError) in
            try environment.checkCancellation()
            environment.progress(counts.rawBytesRead)
        }
        splitter = OutputSplitter(
            targetByteCount: input.policy.tableByteCount,
            grandparents: input.grandparents,
            overlapLimit: input.policy.grandparentOverlapLimit
        )
        deletions = SurvivingRangeDeletions(rangeDeletions, stripes, input.elision)
    }

    private mutating func run() throws(ApusError) -> CompactionOutput {
        try environment.checkCancellation()
        try cursor.seekToFirst()
        while cursor.isValid {
            if cursor.isFirstOfKey { try cut(before: cursor.key) }
            try openWriter().add(cursor.key, cursor.trailer, cursor.payload)
            try cursor.next()
        }
        if let end = deletions.end {
            while let boundary = splitter.cut(beforeEnd: end) { try finishOutput(at: boundary) }
        }
        let blobFiles = try blobOutput.finish()
        try finishOutput(at: nil)
        environment.progress(cursor.counts.rawBytesRead)
        return CompactionOutput(tables: finished, blobFiles: blobFiles, counts: cursor.counts)
    }

    // MARK: - Outputs

    private mutating func cut(before key: UnsafeRawBufferPointer) throws(ApusError) {
        while true {
            let size = writer?.estimatedByteCount ?? (deletions.begin(before: key) ? 0 : nil)
            guard let boundary = splitter.cut(before: key, outputByteCount: size) else { return }
            try finishOutput(at: boundary)
        }
    }

    private mutating func openWriter() throws(ApusError) -> TableWriter {
        if let writer { return writer }
        let number = environment.nextFileNumber()
        let path = environment.path(.table(number))
        let file = try io { () throws(IOError) in try environment.fileSystem.open(path, .create) }
        created.append(number)
        let opened = TableWriter(
            file: file,
            path: path,
            number: number,
            options: input.tableOptions,
            createdAt: input.createdAt
        )
        writer = opened
        return opened
    }

    /// Ends the output before `key` (nil: for good), range deletions up to there included.
    private mutating func finishOutput(at key: [UInt8]?) throws(ApusError) {
        let taken = deletions.take(upTo: key)
        guard writer != nil || !taken.isEmpty else { return }
        let closing = try openWriter()
        if !taken.isEmpty { try closing.addRangeDeletions(RangeDeletions(taken)) }
        finished.append(try closing.finish())
        writer = nil
    }

    /// Leaves no file behind. A file that cannot be removed now is an orphan, which the next open deletes.
    private mutating func removeOutputs() {
        writer?.abandon()
        blobOutput.abandon()
        for number in created { try? environment.fileSystem.remove(environment.path(.table(number))) }
    }
}
