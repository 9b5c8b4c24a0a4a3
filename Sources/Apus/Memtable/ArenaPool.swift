// Arenas of memtables that are gone, kept for the next ones: pages that are already mapped spare the next memtable a
// page fault (and the kernel the zeroing) per 4 KiB, which costs more than the inserts themselves.

import ApusIO
import Synchronization

/// At most two spare arenas. Thread-safe.
final class ArenaPool: Sendable {
    private static let spareLimit = 2
    private let spares = Monitor<[PageMemory]>([])

    /// Memory of at least `byteCount` bytes, whatever its content.
    func take(byteCount: Int) -> PageMemory {
        let spare = spares.withLock { spares -> PageMemory? in
            // A far larger spare is left for whoever needs that much.
            let index = spares.firstIndex { $0.byteCount >= byteCount && $0.byteCount / 2 <= byteCount }
            return index.map { spares.remove(at: $0) }
        }
        return spare ?? ArenaPool.map(byteCount: byteCount)
    }

    /// Nobody may use `memory` any longer.
    func giveBack(_ memory: PageMemory) {
        // A spare beyond the limit is unmapped outside the lock, when `dropped` goes.
        let dropped = spares.withLock { spares -> PageMemory? in
            spares.append(memory)
            return spares.count > ArenaPool.spareLimit ? spares.removeFirst() : nil
        }
        _ = dropped
    }

    /// Bytes of address space in spare arenas.
    var byteCount: Int { spares.withLock { $0.reduce(0) { $0 + $1.byteCount } } }

    /// Memory for an arena of its own.
    static func map(byteCount: Int) -> PageMemory {
        guard let memory = PageMemory(byteCount: byteCount) else {
            fatalError("no address space left for \(byteCount) bytes")
        }
        return memory
    }
}
