// The asynchronous forms: the same commits, but the caller suspends instead of blocking, so that no thread of the
// cooperative pool waits for a disk.

import ApusIO
import Synchronization

extension Database {
    /// Applies `batch` completely or not at all; suspends until it is as durable as asked for.
    public func commit(_ batch: WriteBatch, durability: Durability? = nil) async throws(ApusError) {
        let outcome: Result<Void, ApusError> = await withCheckedContinuation { continuation in
            do throws(ApusError) {
                let request = try request(batch, durability, validate: nil) { outcome in
                    continuation.resume(returning: outcome)
                }
                if let request {
                    engine.pipeline.enqueue(request)
                } else {
                    continuation.resume(returning: .success(()))
                }
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
        try outcome.get()
    }

    /// Collects changes in `body`, then commits them together; suspends until they are as durable as asked for.
    @discardableResult
    public func write<Value>(
        _ durability: Durability? = nil, isolation: isolated (any Actor)? = #isolation,
        _ body: (inout WriteBatch) throws -> Value
    ) async throws -> Value {
        var batch = WriteBatch()
        let result = try body(&batch)
        try await commit(batch, durability: durability)
        return result
    }

    /// Runs `body` in a serializable transaction on a thread of the database, and again if another commit interfered.
    @discardableResult
    public func transaction<Value: Sendable>(
        durability: Durability? = nil, attempts: Int = 100, _ body: @escaping @Sendable (Transaction) throws -> Value
    ) async throws -> Value {
        try await onWorker { try self.transaction(durability: durability, attempts: attempts, body) }
    }

    /// See the synchronous `flush()`.
    public func flush() async throws {
        try await onWorker { try self.flush() }
    }

    /// See the synchronous `compact(_:)`.
    public func compact(_ range: KeyRange = .all) async throws {
        try await onWorker { try self.compact(range) }
    }

    /// See the synchronous `synchronize()`.
    public func synchronize() async throws {
        try await onWorker { try self.synchronize() }
    }

    /// Runs `body` on a thread of the database, which may block, while the caller suspends: for blocking work of one's
    /// own around the database, of any length.
    ///
    /// - Throws: what `body` throws, or `closed` if the database is closed before `body` has started.
    public func onWorker<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let reply = Reply(continuation)
            engine.environment.scheduler.run(.request) { reply.send(Result(catching: body)) }
        }
    }
}

/// Resumes a task exactly once: with what the job found or, if the job is dropped because the database closes, with
/// the error that says so.
private final class Reply<Value: Sendable>: Sendable {
    private let continuation: CheckedContinuation<Value, any Error>
    private let isSent = Atomic(false)

    init(_ continuation: CheckedContinuation<Value, any Error>) {
        self.continuation = continuation
    }

    deinit { send(.failure(ApusError(.closed, "the database is closed"))) }

    func send(_ result: Result<Value, any Error>) {
        if isSent.exchange(true, ordering: .relaxed) { return }
        continuation.resume(with: result)
    }
}
