// Whether what threads saw of one key can be explained by operations that took effect one at a time, each at some
// moment between its call and its return: linearizability (Herlihy and Wing, TOPLAS 1990), decided as Wing and Gong do
// it (JPDC 1993), with the memory of dead ends of Lowe (2017).

/// One operation on a register, with the ticks at which it was called and returned.
struct RegisterOperation: Sendable {
    enum Kind: Sendable, Equatable {
        /// nil deletes.
        case write(Int?)
        /// nil: there was nothing.
        case read(Int?)
    }

    var kind: Kind
    var called: Int
    var returned: Int
}

/// All operations on one register.
struct RegisterHistory {
    /// In the order of their calls.
    let operations: [RegisterOperation]

    init(_ operations: [RegisterOperation]) {
        self.operations = operations.sorted { $0.called < $1.called }
    }

    private struct State: Hashable {
        /// Operations up to here are done.
        var prefix: Int
        /// Done beyond the prefix: those that overlap something that is not done yet.
        var done: Set<Int>
        var value: Int?
    }

    /// Whether some order explains every read. Linear in the history's length as long as few operations overlap.
    var isLinearizable: Bool {
        var seen: Set<State> = []
        var stack = [State(prefix: 0, done: [], value: nil)]
        while let state = stack.popLast() {
            if state.prefix == operations.count { return true }
            guard seen.insert(state).inserted else { continue }
            stack += successors(of: state)
        }
        return false
    }

    /// The states after one more operation: any that was called before the first return among those not done.
    private func successors(of state: State) -> [State] {
        var firstReturn = Int.max
        var successors: [State] = []
        var index = state.prefix
        while index < operations.count, operations[index].called <= firstReturn {
            defer { index += 1 }
            if state.done.contains(index) { continue }
            firstReturn = min(firstReturn, operations[index].returned)
            var next = state
            switch operations[index].kind {
            case .write(let value): next.value = value
            case .read(let value): if value != state.value { continue }
            }
            next.done.insert(index)
            while next.done.remove(next.prefix) != nil { next.prefix += 1 }
            successors.append(next)
        }
        return successors
    }
}
