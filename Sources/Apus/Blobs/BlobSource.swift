// The seam between readers and the store of separated values.

/// Fetches values that lie outside the tree. Thread-safe.
protocol BlobSource: Sendable {
    /// The verified bytes of a separated value.
    func value(of reference: BlobReference) throws(ApusError) -> [UInt8]
}
