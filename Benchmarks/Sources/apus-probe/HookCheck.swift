// Proves that the hooks see the allocations of the Swift runtime, exactly and nothing else, before they are trusted.

enum HookCheck {
    private static let rounds = 1_000

    private final class Box {
        var value: Int
        init(_ value: Int) { self.value = value }
    }

    /// Keeps the optimiser from putting what it is given on the stack.
    @inline(never)
    @_optimize(none)
    private static func escape<Value>(_ value: Value) {}

    /// Nil when the hooks count right, else what went wrong.
    static func failure() -> String? {
        check("objects", allocationsEach: 1) { escape(Box($0)) }
            ?? check("arrays", allocationsEach: 1) { escape([Int](repeating: $0, count: 100)) }
            ?? check("aligned buffers", allocationsEach: 1) { _ in
                let buffer = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 128)
                escape(buffer)
                buffer.deallocate()
            }
            ?? check("plain calls", allocationsEach: 0) { escape($0) }
    }

    private static func check(_ what: String, allocationsEach: Int, _ body: (Int) -> Void) -> String? {
        // The first call may make the runtime build metadata.
        body(0)
        let counted = Allocations.during { for index in 0..<rounds { body(index) } }
        let expected = rounds * allocationsEach
        return counted == expected ? nil : "\(rounds) \(what) were counted as \(counted) allocations, not \(expected)"
    }
}
