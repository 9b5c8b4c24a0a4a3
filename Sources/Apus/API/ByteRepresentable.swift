// What may be used as a key or a value: anything that can show its bytes without copying them.

/// A type whose bytes can be a key or a value: `String` (as UTF-8), `[UInt8]`, slices, `RawSpan`, raw buffers.
///
/// To use a byte collection of your own, declare the conformance; the default implementation does the rest:
/// ```swift
/// extension Data: @retroactive ByteRepresentable {}
/// ```
public protocol ByteRepresentable: ~Copyable, ~Escapable {
    /// Calls `body` with the bytes, which are valid only during the call.
    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result
}

extension ByteRepresentable where Self: Collection, Element == UInt8 {
    @inlinable
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // `withContiguousStorageIfAvailable` rethrows untyped errors, so the typed one travels in a Swift.Result.
        let outcome = withContiguousStorageIfAvailable { (buffer) -> Swift.Result<Result, Failure> in
            do throws(Failure) {
                return .success(try body(UnsafeRawBufferPointer(buffer)))
            } catch {
                return .failure(error)
            }
        }
        if let outcome { return try outcome.get() }
        return try Array(self).withBytes(body)
    }
}

extension [UInt8]: ByteRepresentable {
    @inlinable
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let span = self.span.bytes
        return try span.withBytes(body)
    }
}

extension ArraySlice<UInt8>: ByteRepresentable {}
extension ContiguousArray<UInt8>: ByteRepresentable {}

extension UnsafeRawBufferPointer: ByteRepresentable {
    @inlinable
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(self)
    }
}

extension RawSpan: ByteRepresentable {
    @inlinable
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try withUnsafeBytes(body)
    }
}

extension String: ByteRepresentable {
    @inlinable
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try utf8.withBytes(body)
    }
}

extension Substring: ByteRepresentable {
    @inlinable
    public func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try utf8.withBytes(body)
    }
}

extension String.UTF8View: ByteRepresentable {}
extension Substring.UTF8View: ByteRepresentable {}
