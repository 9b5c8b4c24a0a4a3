// When memory that searches may still look at can be used again. Searches announce themselves in one of two counters;
// the epoch moves on when the counter of the one before is empty (epoch-based reclamation: Fraser, "Practical
// Lock-Freedom", Cambridge 2004, §5.2.3). Nobody waits for anybody.

import Synchronization

/// Tells writers which searches have ended.
final class ReclamationGate: Sendable {
    private let epoch = Atomic<UInt64>(2)
    private let even = Atomic<Int>(0)
    private let odd = Atomic<Int>(0)

    /// Call before a search looks at anything; hand what it returns to `leave`.
    func enter() -> UInt64 {
        while true {
            let now = epoch.load(ordering: .sequentiallyConsistent)
            add(1, in: now)
            if epoch.load(ordering: .sequentiallyConsistent) == now { return now }
            add(-1, in: now)
        }
    }

    func leave(_ epoch: UInt64) { add(-1, in: epoch) }

    private func add(_ amount: Int, in epoch: UInt64) {
        if epoch & 1 == 0 {
            even.add(amount, ordering: .sequentiallyConsistent)
        } else {
            odd.add(amount, ordering: .sequentiallyConsistent)
        }
    }

    /// The mark of something made unreachable just now.
    var mark: UInt64 { epoch.load(ordering: .sequentiallyConsistent) }

    /// Moves on if the searches of the epoch before have ended. One writer at a time.
    func advance() {
        let now = epoch.load(ordering: .sequentiallyConsistent)
        let running =
            now & 1 == 0 ? odd.load(ordering: .sequentiallyConsistent) : even.load(ordering: .sequentiallyConsistent)
        if running == 0 {
            epoch.store(now + 1, ordering: .sequentiallyConsistent)
        }
    }

    /// Whether every search that could know something so marked has ended.
    func hasPassed(_ mark: UInt64) -> Bool { epoch.load(ordering: .sequentiallyConsistent) >= mark + 2 }
}
