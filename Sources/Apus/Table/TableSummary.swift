// What a table's metadata says of its entries, gathered while they are written (and again while they are verified).

import ApusIO

struct TableSummary {
    private(set) var metadata: TableMetadata
    private var shares: [FileNumber: BlobFileShare] = [:]
    private var largestDeletionEnd: [UInt8]?
    private var isEmpty = true

    init(number: FileNumber, createdAt: UInt64) {
        metadata = TableMetadata(
            number: number,
            byteCount: 0,
            checksum: 0,
            smallest: [],
            largest: [],
            largestIsExclusive: false,
            smallestSequence: .zero,
            largestSequence: .zero,
            entryCount: 0,
            deletionCount: 0,
            rangeDeletionCount: 0,
            rawByteCount: 0,
            createdAt: createdAt,
            earliestExpiry: 0,
            blobReferences: []
        )
    }

    /// Adds an entry; entries come in order. False if its payload is no payload of its kind.
    mutating func add(
        _ key: UnsafeRawBufferPointer,
        _ trailer: Trailer,
        _ payload: UnsafeRawBufferPointer
    ) -> Bool {
        guard let kind = trailer.kind, kind != .rangeDeletion else { return false }
        switch kind {
        case .value, .rangeDeletion: break
        case .deletion: metadata.deletionCount += 1
        case .mergeOperand, .separatedValue, .expiringValue, .expiringSeparatedValue:
            guard addPayload(trailer, payload) else { return false }
        }
        if metadata.entryCount == 0 && (isEmpty || metadata.smallest.withUnsafeBytes { compareBytes(key, $0) < 0 }) {
            metadata.smallest = [UInt8](key)
        }
        metadata.entryCount += 1
        metadata.rawByteCount += UInt64(key.count + payload.count)
        include(trailer.sequence)
        return true
    }

    mutating func add(_ deletion: RangeDeletion) {
        if isEmpty || deletion.start.lexicographicallyPrecedes(metadata.smallest) {
            metadata.smallest = deletion.start
        }
        if largestDeletionEnd.map({ $0.lexicographicallyPrecedes(deletion.end) }) ?? true {
            largestDeletionEnd = deletion.end
        }
        metadata.rangeDeletionCount += 1
        include(deletion.sequence)
    }

    /// Settles what is only known at the end: the largest key and the order of the blob files.
    ///
    /// - Parameter lastKey: of the last entry; empty if there is none.
    mutating func finish(lastKey: [UInt8]) {
        metadata.largest = lastKey
        metadata.largestIsExclusive = false
        if let end = largestDeletionEnd, metadata.entryCount == 0 || lastKey.lexicographicallyPrecedes(end) {
            metadata.largest = end
            metadata.largestIsExclusive = true
        }
        metadata.blobReferences = shares.values.sorted { $0.file < $1.file }
    }

    private mutating func addPayload(_ trailer: Trailer, _ payload: UnsafeRawBufferPointer) -> Bool {
        switch EntryPayload(trailer, payload) {
        case .value(_, let expiresAt):
            include(expiry: expiresAt)
        case .merge(_, _, let expiresAt):
            include(expiry: expiresAt)
        case .separated(let reference, let expiresAt):
            include(expiry: expiresAt)
            var share = shares[reference.file] ?? BlobFileShare(file: reference.file, byteCount: 0, valueCount: 0)
            share.byteCount &+= UInt64(reference.storedByteCount)
            share.valueCount += 1
            shares[reference.file] = share
        case .deletion, .rangeDeletion, nil:
            return false
        }
        return true
    }

    private mutating func include(expiry: UInt64) {
        if expiry != 0 && (metadata.earliestExpiry == 0 || expiry < metadata.earliestExpiry) {
            metadata.earliestExpiry = expiry
        }
    }

    private mutating func include(_ sequence: SequenceNumber) {
        if isEmpty {
            metadata.smallestSequence = sequence
            metadata.largestSequence = sequence
            isEmpty = false
        } else {
            metadata.smallestSequence = min(metadata.smallestSequence, sequence)
            metadata.largestSequence = max(metadata.largestSequence, sequence)
        }
    }
}
