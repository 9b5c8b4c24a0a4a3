// Which slot of the index holds a node of the database: a hash table of slots alone, since the rows themselves know
// their nodes. Eight bytes a vector where a dictionary takes forty.

/// Maps node numbers to slots. The numbers are in the rows: `node(slot)` tells them.
struct SlotTable {
    /// Slot + 1, or 0. Linear probing; a removal moves back what came after it.
    private var cells: [UInt32] = [UInt32](repeating: 0, count: 64)
    private(set) var count = 0

    var byteCount: Int { cells.capacity * 4 }

    private func home(_ node: UInt64) -> Int {
        Int(truncatingIfNeeded: (node &* 0x9E37_79B9_7F4A_7C15) >> 32) & (cells.count - 1)
    }

    func slot(of node: UInt64, in memory: NodeMemory) -> UInt32? {
        var index = home(node)
        while cells[index] != 0 {
            if memory.node(cells[index] - 1) == node { return cells[index] - 1 }
            index = (index + 1) & (cells.count - 1)
        }
        return nil
    }

    /// Adds a slot whose node is not in the table.
    mutating func insert(_ slot: UInt32, in memory: NodeMemory) {
        if 4 * (count + 1) > 3 * cells.count {
            let old = cells
            cells = [UInt32](repeating: 0, count: 2 * old.count)
            for cell in old where cell != 0 { place(cell, in: memory) }
        }
        place(slot + 1, in: memory)
        count += 1
    }

    private mutating func place(_ cell: UInt32, in memory: NodeMemory) {
        var index = home(memory.node(cell - 1))
        while cells[index] != 0 { index = (index + 1) & (cells.count - 1) }
        cells[index] = cell
    }

    mutating func remove(_ node: UInt64, in memory: NodeMemory) {
        var index = home(node)
        while cells[index] != 0, memory.node(cells[index] - 1) != node { index = (index + 1) & (cells.count - 1) }
        if cells[index] == 0 { return }
        count -= 1
        var hole = index
        cells[hole] = 0
        index = (index + 1) & (cells.count - 1)
        while cells[index] != 0 {
            // An entry may move back unless its home lies after the hole.
            let distanceFromHome = (index - home(memory.node(cells[index] - 1))) & (cells.count - 1)
            if distanceFromHome >= (index - hole) & (cells.count - 1) {
                cells[hole] = cells[index]
                cells[index] = 0
                hole = index
            }
            index = (index + 1) & (cells.count - 1)
        }
    }
}
