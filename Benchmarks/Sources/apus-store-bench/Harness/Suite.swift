// What a suite is: a name, and a function that measures its works with the bench it is given.

struct Suite: Sendable {
    let name: String
    let summary: String
    let run: @Sendable (Bench) throws -> Void

    init(_ name: String, _ summary: String, _ run: @escaping @Sendable (Bench) throws -> Void) {
        self.name = name
        self.summary = summary
        self.run = run
    }
}

/// What stops a benchmark, in one sentence.
struct BenchFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// The result of a computation that the optimiser must not drop.
@inline(never)
func keep<Value>(_ value: Value) {}
