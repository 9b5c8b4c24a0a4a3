// Merge operators: how an operand written with `merge` changes the value that a key has. The write itself reads
// nothing; readers and compactions combine the operands later.

/// Combines an operand with the value of a key.
///
/// A keyspace keeps the operator's name, and every process that opens it supplies an operator of that name. The
/// operator must be a pure function: the engine applies it when and as often as it likes.
public protocol MergeOperator: Sendable {
    /// Identifies the operator in the database; never change it for a keyspace that has data.
    var name: String { get }

    /// Appends to `result`, which arrives empty, the value that `key` has once `operand` is applied.
    /// - Parameters:
    ///   - key: whose value it is.
    ///   - existing: the value before; nil if the key has none (never written, deleted or expired).
    ///   - operand: one operand; operands are applied one by one, oldest first.
    ///   - result: takes the value.
    /// - Throws: any error, if the value or the operand makes no sense. The read fails with `mergeFailed`.
    func merge(key: RawSpan, existing: RawSpan?, operand: RawSpan, into result: inout [UInt8]) throws
}

/// An operand or a value that a built-in merge operator cannot work with.
public struct MergeOperandError: Error, Sendable, CustomStringConvertible {
    public var description: String

    public init(_ description: String) { self.description = description }
}
