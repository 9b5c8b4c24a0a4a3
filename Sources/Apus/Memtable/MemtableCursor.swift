// A cursor over a memtable, which may grow meanwhile: the cursor sees everything that was there when it was made, and
// perhaps some of what came later.

import ApusIO
import CApusCPU

/// Holds the memtable. Forward steps cost a few nanoseconds and one cache line each; every node's entries are
/// fetched when the cursor enters the node, since they lie anywhere in the arena. Steps back search once per node.
final class MemtableCursor: EntryCursor {
    private let memtable: Memtable
    private let list: SkipList
    @exclusivity(unchecked) private var position: SkipListPosition

    init(_ memtable: Memtable) {
        self.memtable = memtable
        list = memtable.list
        let root = list.node(SkipList.firstEntry)
        position = SkipListPosition(node: root, order: .ascending(0), rank: 0)
        super.init()
        // What comes later is newer than anything this cursor's reader may see.
        newestSequence = memtable.lastSequence
    }

    override func seekToFirst() { stand(list.first()) }
    override func seekToLast() { stand(list.last()) }

    override func seek(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) {
        stand(list.seek(key, trailer))
    }

    override func seekBefore(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) {
        stand(list.seekBefore(key, trailer))
    }

    override func next() {
        precondition(isValid)
        if position.rank &+ 1 < position.order.count {
            position.rank &+= 1
            return show()
        }
        guard let next = list.start(after: position.node) else {
            isValid = false
            return
        }
        position = next
        fetchEntries()
        show()
    }

    override func previous() {
        precondition(isValid)
        if position.rank > 0 {
            position.rank &-= 1
            return show()
        }
        stand(list.seekBefore(key, trailer))
    }

    @inline(__always)
    private func stand(_ found: SkipListPosition?) {
        guard let found else {
            isValid = false
            return
        }
        position = found
        show()
    }

    @inline(__always)
    private func show() {
        let entry = list.entry(position)
        key = entry.key
        trailer = entry.trailer
        payload = entry.payload
        isValid = true
    }

    private func fetchEntries() {
        let order = position.order
        for rank in 0..<order.count {
            apus_prefetch(list.entry(position.node.entry(order.slot(rank))).base)
        }
        let link = position.node.link
        if link != 0 { list.node(link).prefetch(upper: false) }
    }
}
