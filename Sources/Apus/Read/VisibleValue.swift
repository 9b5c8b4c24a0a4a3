// What a cursor knows of the value of one key while it looks at the key's versions, and the value itself when asked.

import ApusIO

/// A keyspace, as far as its values need it that are not stored in one piece. Asked only when there are such values.
protocol ValueContext: AnyObject {
    var mergeOperator: (any MergeOperator)? { get }
    var blobs: any BlobSource { get }
}

extension Tree: ValueContext {}

/// The newest value of a key and the merge operands above it. Plain values are views; values that must be fetched
/// from a blob file or merged are built when first asked for, into a buffer that is reused.
struct VisibleValue: ~Copyable {
    private enum Base {
        case nothing
        case value(UnsafeRawBufferPointer, expiresAt: UInt64)
        case separated(BlobReference, expiresAt: UInt64)
    }

    private var base = Base.nothing
    private var chain = MergeChain()
    private var copy = OwnedBytes()
    private var built = OwnedBytes()
    private var isBuilt = false

    /// The key has no value.
    @inline(__always)
    mutating func clear() {
        base = .nothing
        isBuilt = false
        if !chain.isEmpty { chain.removeAll() }
    }

    // MARK: - Newest version first

    /// The value that ends the chain, if there is one. `bytes` must outlive the use of it.
    @inline(__always)
    mutating func endChain(_ bytes: UnsafeRawBufferPointer, expiresAt: UInt64) {
        base = .value(bytes, expiresAt: expiresAt)
    }

    @inline(__always)
    mutating func endChain(_ reference: BlobReference, expiresAt: UInt64) {
        base = .separated(reference, expiresAt: expiresAt)
    }

    mutating func addOlder(operand: UnsafeRawBufferPointer, writtenAt: UInt64, expiresAt: UInt64) {
        chain.add(operand: operand, writtenAt: writtenAt, expiresAt: expiresAt)
    }

    // MARK: - Oldest version first

    /// A newer value, of which a copy is kept.
    mutating func replace(_ bytes: UnsafeRawBufferPointer, expiresAt: UInt64) {
        clear()
        copy.assign(bytes)
        base = .value(copy.bytes, expiresAt: expiresAt)
    }

    mutating func replace(_ reference: BlobReference, expiresAt: UInt64) {
        clear()
        base = .separated(reference, expiresAt: expiresAt)
    }

    mutating func addNewer(operand: UnsafeRawBufferPointer, writtenAt: UInt64, expiresAt: UInt64) {
        chain.addNewer(operand: operand, writtenAt: writtenAt, expiresAt: expiresAt)
    }

    // MARK: - The result

    /// nil: there is no value. 0: it never expires.
    var expiresAt: UInt64? { chain.isEmpty ? baseExpiresAt : chain.expiry(baseExpiresAt: baseExpiresAt) }

    private var baseExpiresAt: UInt64? {
        switch base {
        case .nothing: nil
        case .value(_, let expiresAt), .separated(_, let expiresAt): expiresAt
        }
    }

    /// The value, valid until the next change.
    /// - Precondition: there is one.
    mutating func bytes(
        key: UnsafeRawBufferPointer, in context: any ValueContext
    ) throws(ApusError) -> UnsafeRawBufferPointer {
        if isBuilt { return built.bytes }
        if chain.isEmpty, case .value(let bytes, _) = base { return bytes }
        if case .separated(let reference, let expiry) = base, chain.isEmpty || chain.needsBase(expiresAt: expiry) {
            try context.blobs.withValue(of: reference) { built.assign($0) }
        }
        if !chain.isEmpty {
            let merged = try chain.resolve(base: chainBase, key: key, operator: context.mergeOperator).value
            merged.withUnsafeBytes { built.assign($0) }
        }
        isBuilt = true
        return built.bytes
    }

    /// What the chain builds on; a separated value has been fetched into `built`, or plays no part.
    private var chainBase: (value: UnsafeRawBufferPointer, expiresAt: UInt64)? {
        switch base {
        case .nothing: nil
        case .value(let bytes, let expiresAt): (bytes, expiresAt)
        case .separated(_, let expiresAt): (built.bytes, expiresAt)
        }
    }
}
