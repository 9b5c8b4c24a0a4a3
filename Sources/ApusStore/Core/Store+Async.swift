// The asynchronous forms of what the store itself offers: the same calls on a thread of the database, so that no thread
// of the cooperative pool waits for a disk.

public import Apus

extension Store {
    /// See the synchronous `transaction`.
    @discardableResult
    public func transaction<Value: Sendable>(
        durability: Durability? = nil, attempts: Int = 100,
        _ body: @escaping @Sendable (StoreTransaction) throws -> Value
    ) async throws -> Value {
        try await onWorker { try self.transaction(durability: durability, attempts: attempts, body) }
    }

    /// See the synchronous `verify()`.
    public func verify() async throws -> StoreVerification {
        try await onWorker { try self.verify() }
    }

    /// Runs blocking work of a collection on a thread of the database.
    func onWorker<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await database.onWorker(body)
    }
}
