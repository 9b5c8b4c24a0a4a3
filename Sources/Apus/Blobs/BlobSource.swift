// The seam between readers and the store of separated values.

/// Fetches values that lie outside the tree. Thread-safe.
protocol BlobSource: Sendable {
    /// Calls `body` with the verified bytes of a separated value; they end with the call.
    func withValue(
        of reference: BlobReference, _ body: (UnsafeRawBufferPointer) throws(ApusError) -> Void
    ) throws(ApusError)
}

extension BlobSource {
    /// A copy of the value.
    func value(of reference: BlobReference) throws(ApusError) -> [UInt8] {
        var value: [UInt8] = []
        try withValue(of: reference) { value = [UInt8]($0) }
        return value
    }
}
