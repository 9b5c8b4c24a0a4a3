// Whether transactions on lists were serializable, and in an order that agrees with time. Every transaction appends
// unique numbers to lists and reads lists, so the reads tell the order of all writes of a list; from it follow the
// dependencies between transactions, which must not form a circle (Adya, MIT 1999; the list trick is that of Elle: Kingsbury and
// Alvaro, VLDB 2020).

/// One committed transaction.
struct ListTransaction: Sendable {
    enum Operation: Sendable {
        case append(list: Int, element: Int)
        case read(list: Int, found: [Int])
    }

    var operations: [Operation]
    var thread: Int
    var called: Int
    var returned: Int
}

struct ListHistory {
    let transactions: [ListTransaction]
    /// The whole of each list at the end.
    let lists: [[Int]]

    /// What is wrong, or nil.
    var anomaly: String? {
        var writer: [Int: Int] = [:]
        for (index, transaction) in transactions.enumerated() {
            for case .append(_, let element) in transaction.operations { writer[element] = index }
        }
        let found = lists.flatMap { $0 }
        if Set(found).count != found.count { return "an element is in a list twice" }
        if let lost = writer.keys.first(where: { !found.contains($0) }) {
            return "element \(lost) was committed and is gone"
        }
        if let invented = found.first(where: { writer[$0] == nil }) {
            return "element \(invented) is there, but not committed"
        }

        var edges = [Set<Int>](repeating: [], count: transactions.count)
        func order(_ first: Int, _ second: Int) {
            if first != second { edges[first].insert(second) }
        }
        for list in lists {
            for (earlier, later) in zip(list, list.dropFirst()) { order(writer[earlier]!, writer[later]!) }
        }
        for (index, transaction) in transactions.enumerated() {
            for case .read(let list, let found) in transaction.operations {
                // Its own appends stand at the end of what it read.
                let others = found.prefix { writer[$0] != index }
                guard lists[list].starts(with: others) else {
                    return "a list was read as \(found), it is \(lists[list])"
                }
                if let last = others.last { order(writer[last]!, index) }
                if others.count < lists[list].count { order(index, writer[lists[list][others.count]]!) }
            }
        }
        addTime(order)
        return hasCircle(edges) ? "the transactions cannot be put in an order" : nil
    }

    /// Whoever returned before another was called comes first. The last such one of each thread implies the others.
    private func addTime(_ order: (Int, Int) -> Void) {
        let byThread = Dictionary(grouping: transactions.indices) { transactions[$0].thread }
        for index in transactions.indices {
            for own in byThread.values {
                let last = own.last { transactions[$0].returned < transactions[index].called }
                if let last { order(last, index) }
            }
        }
    }

    /// Takes away whatever nothing comes before, again and again; what stays is a circle.
    private func hasCircle(_ edges: [Set<Int>]) -> Bool {
        var incoming = [Int](repeating: 0, count: edges.count)
        for targets in edges { for target in targets { incoming[target] += 1 } }
        var free = incoming.indices.filter { incoming[$0] == 0 }
        var taken = 0
        while let next = free.popLast() {
            taken += 1
            for target in edges[next] {
                incoming[target] -= 1
                if incoming[target] == 0 { free.append(target) }
            }
        }
        return taken < edges.count
    }
}
