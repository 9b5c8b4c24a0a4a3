// Group commit. Every write, and everything that must not run beside a write, passes through here.
//
//   1. A caller puts its request into the queue.
//   2. If nobody leads, it becomes the leader itself: no hand-over, no wake-up. Else it waits.
//   3. The leader waits a moment for those who are likely to come, and takes a group: the requests at the front of the queue that may share one log write and one sync.
//   4. It processes the group (see `Engine.commit`), then marks every request of it as done.
//   5. Leadership is free again. The callers of the group are woken, and of those whose requests are still open the first,
//      which leads the next group. Nobody else is: of many writers, most would find nothing to do.
//
// An asynchronous request has no thread that could lead. If only such requests are left, a background job leads.
// A dedicated commit thread for all requests was measured elsewhere at 5 to 60 µs a hand-over: a caller that leads
// costs nothing.

import ApusIO
import Synchronization

/// One unit of work in the queue.
///
/// Invariant behind `@unchecked Sendable`: `outcome` is written by the leader and read by the waiting caller, both with
/// the queue's lock held, as is `waiter`; everything else is immutable.
final class CommitRequest: @unchecked Sendable {
    enum Work {
        /// `validate` runs before the batch is logged, with everything committed before visible.
        case write(WriteBatch, validate: (() throws(ApusError) -> Void)?)
        /// Runs alone: no commit is in progress meanwhile.
        case exclusive(() throws(ApusError) -> Void)
    }

    let work: Work
    let durability: Durability
    /// Called once, on the leader's thread, if nobody waits.
    let completion: (@Sendable (Result<Void, ApusError>) -> Void)?
    fileprivate(set) var outcome: Result<Void, ApusError>?
    /// Where the caller waits, if one does. Set with the queue's lock held, before the request is in the queue.
    fileprivate var waiter: WaitPoint?

    init(
        _ work: Work, durability: Durability = .relaxed,
        completion: (@Sendable (Result<Void, ApusError>) -> Void)? = nil
    ) {
        self.work = work
        self.durability = durability
        self.completion = completion
    }

    /// Whether the request may follow others in one group.
    fileprivate var mayJoin: Bool {
        if case .write(_, nil) = work { return true }
        return false
    }

    /// Whether others may follow the request in one group.
    fileprivate var mayBeJoined: Bool {
        if case .write = work { return true }
        return false
    }

    fileprivate var byteCount: Int {
        if case .write(let batch, _) = work { return batch.byteCount }
        return 0
    }
}

final class CommitPipeline: Sendable {
    /// Processes a group: one outcome for each request, in order.
    typealias Process = @Sendable ([CommitRequest]) -> [Result<Void, ApusError>]

    /// How many requests are in the queue, for a leader that looks without the lock.
    private final class Length: Sendable {
        let count = Atomic(0)
    }

    private struct Queue {
        let length: Length
        var pending: [CommitRequest] = [] { didSet { length.count.store(pending.count, ordering: .relaxed) } }
        var isLed = false
        /// As many callers as were in the last group or in the queue behind it, if it was synced.
        var writers = 0
        var isFinished = false
    }

    private enum Turn {
        case done(Result<Void, ApusError>)
        case lead(writers: Int)
    }

    /// A group grows to this size at most, so that the first request of it does not wait for megabytes of others.
    private static let groupByteCount = 1 << 20

    private static let closed = ApusError(.closed, "the database is closed")

    /// How often and how long a leader lets other threads run before it goes on without them. On a busy processor one
    /// turn may take milliseconds, on an idle one all of them take microseconds.
    private static let patience = (turns: 50, nanoseconds: UInt64(50_000))

    private let length: Length
    private let queue: Monitor<Queue>
    private let scheduler: any Scheduler
    private let process: Process

    init(scheduler: any Scheduler, process: @escaping Process) {
        length = Length()
        queue = Monitor(Queue(length: length))
        self.scheduler = scheduler
        self.process = process
    }

    /// Performs `request` and returns when it is done. Never called from a background job (see `enqueue`).
    func perform(_ request: CommitRequest) throws(ApusError) {
        var group: [CommitRequest]? = try queue.withLock { (queue) throws(ApusError) in
            if queue.isFinished { throw Self.closed }
            if !queue.isLed && queue.pending.isEmpty {
                queue.isLed = true
                return [request]
            }
            request.waiter = WaitPoint()
            queue.pending.append(request)
            return nil
        }
        while true {
            if let led = group {
                lead(led, own: request)
                if let outcome = queue.withLock({ _ in request.outcome }) { return try outcome.get() }
                group = nil
            }
            // A leader whose own request is not done was in the queue before, and has its waiter.
            let turn: Turn = queue.waitUntil(at: request.waiter, helping: scheduler) { queue in
                if let outcome = request.outcome { return .done(outcome) }
                if queue.isLed { return nil }
                queue.isLed = true
                // Without a sync ahead there is nothing to share.
                return .lead(writers: request.durability == .durable ? queue.writers : 0)
            }
            switch turn {
            case .done(let outcome): return try outcome.get()
            case .lead(let writers):
                gather(writers)
                group = queue.withLock { queue in Self.takeGroup(&queue) }
            }
        }
    }

    /// Waits a little for callers whose commits were synced a moment ago: they are on their way back with their next ones,
    /// and a sync costs the same for all of them as for the few that are here already.
    private func gather(_ writers: Int) {
        guard length.count.load(ordering: .relaxed) < writers else { return }
        let clock = SystemClock()
        let end = clock.monotonicNanoseconds() + Self.patience.nanoseconds
        for _ in 0..<Self.patience.turns {
            yieldProcessor()
            if length.count.load(ordering: .relaxed) >= writers || clock.monotonicNanoseconds() >= end { return }
        }
    }

    /// Makes the caller the leader of a commit of its own, if nobody leads and nobody waits. `endLead` must follow.
    func tryLead() throws(ApusError) -> Bool {
        try queue.withLock { (queue) throws(ApusError) in
            if queue.isFinished { throw Self.closed }
            if queue.isLed || !queue.pending.isEmpty { return false }
            queue.isLed = true
            return true
        }
    }

    func endLead() {
        pass(
            queue.withLock { queue in
                queue.writers = 0
                return Self.handOver(&queue)
            })
    }

    /// Who goes on when leadership is free again.
    private struct Succession {
        var leader: WaitPoint?
        /// Only requests are left that nobody waits for.
        var needsJob: Bool
        var isFinished: Bool
    }

    private static func handOver(_ queue: inout Queue) -> Succession {
        queue.isLed = false
        var leader: WaitPoint?
        for request in queue.pending where request.waiter != nil {
            leader = request.waiter
            break
        }
        return Succession(
            leader: leader, needsJob: leader == nil && !queue.pending.isEmpty, isFinished: queue.isFinished)
    }

    private func pass(_ succession: Succession) {
        succession.leader?.wake()
        if succession.isFinished { queue.broadcast() }
        if succession.needsJob { scheduler.run(.commit) { [weak self] in self?.leadPending() } }
    }

    /// Performs `request` some time later and calls its completion. Callable from anywhere.
    func enqueue(_ request: CommitRequest) {
        let needsLeader: Bool? = queue.withLock { queue in
            if queue.isFinished { return nil }
            queue.pending.append(request)
            return !queue.isLed
        }
        guard let needsLeader else {
            request.completion?(.failure(Self.closed))
            return
        }
        if needsLeader { scheduler.run(.commit) { [weak self] in self?.leadPending() } }
    }

    /// Refuses further requests and returns when all earlier ones are answered.
    func finish() {
        queue.withLock { $0.isFinished = true }
        while true {
            let group: [CommitRequest]? = queue.waitUntil(helping: scheduler) { queue in
                if queue.isLed { return nil }
                if queue.pending.isEmpty { return .some(nil) }
                queue.isLed = true
                return Self.takeGroup(&queue)
            }
            guard let group else { return }
            lead(group, own: nil)
        }
    }

    /// Leads until the queue is empty or a caller leads.
    private func leadPending() {
        while true {
            let group: [CommitRequest]? = queue.withLock { queue in
                if queue.isLed || queue.pending.isEmpty { return nil }
                queue.isLed = true
                return Self.takeGroup(&queue)
            }
            guard let group else { return }
            lead(group, own: nil)
        }
    }

    /// - Parameter own: the request that the calling thread itself waits for.
    private func lead(_ group: [CommitRequest], own: CommitRequest?) {
        let outcomes = process(group)
        pass(
            queue.withLock { queue in
                for (request, outcome) in zip(group, outcomes) { request.outcome = outcome }
                let isSynced = group.contains { $0.durability == .durable }
                queue.writers = isSynced ? (group + queue.pending).count { $0.completion == nil } : 0
                return Self.handOver(&queue)
            })
        for request in group where request !== own { request.waiter?.wake() }
        for (request, outcome) in zip(group, outcomes) { request.completion?(outcome) }
    }

    private static func takeGroup(_ queue: inout Queue) -> [CommitRequest] {
        var count = 1
        var byteCount = queue.pending[0].byteCount
        if queue.pending[0].mayBeJoined {
            while count < queue.pending.count, queue.pending[count].mayJoin, byteCount < groupByteCount {
                byteCount += queue.pending[count].byteCount
                count += 1
            }
        }
        let group = Array(queue.pending[..<count])
        queue.pending.removeFirst(count)
        return group
    }
}
