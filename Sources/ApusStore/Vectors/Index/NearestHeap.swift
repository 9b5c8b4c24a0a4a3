// The nearest of many, without sorting all of them: a heap with the farthest on top.

/// The `count` smallest distances offered, each with whatever node it belongs to.
struct NearestHeap {
    private var items: [(distance: Float, node: UInt64)] = []
    private let count: Int
    /// Nothing farther away than this is among the nearest any more: infinity as long as there are fewer than `count`.
    private(set) var limit = Float.infinity

    init(count: Int) {
        self.count = count
        items.reserveCapacity(min(count, 1024))
    }

    var isFull: Bool { items.count == count }

    private func isFarther(_ a: Int, _ b: Int) -> Bool {
        (items[a].distance, items[a].node) > (items[b].distance, items[b].node)
    }

    mutating func add(_ distance: Float, _ node: UInt64) {
        if items.count < count {
            items.append((distance, node))
            var child = items.count - 1
            while child > 0 {
                let parent = (child - 1) / 2
                guard isFarther(child, parent) else { break }
                items.swapAt(child, parent)
                child = parent
            }
        } else {
            guard (distance, node) < (items[0].distance, items[0].node) else { return }
            items[0] = (distance, node)
            var parent = 0
            while true {
                var farthest = parent
                for child in 2 * parent + 1...2 * parent + 2 where child < items.count && isFarther(child, farthest) {
                    farthest = child
                }
                if farthest == parent { break }
                items.swapAt(parent, farthest)
                parent = farthest
            }
        }
        if items.count == count { limit = items[0].distance }
    }

    /// Nearest first; of equally near ones, the older first.
    func sorted() -> [(distance: Float, node: UInt64)] {
        items.sorted { ($0.distance, $0.node) < ($1.distance, $1.node) }
    }
}
