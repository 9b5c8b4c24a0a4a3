// What one fuzzer is: a name, a body that must hold for any bytes, and the inputs to begin with. All of them are in one
// program, because linking the instrumented engine is what costs time.

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

struct FuzzTarget: Sendable {
    var name: String
    /// One line for people.
    var summary: String
    /// Inputs are not made longer than this.
    var maximumByteCount = 4096
    /// Must return for every input; what it finds wrong ends the process (see `expect`).
    var run: @Sendable (UnsafeRawBufferPointer) -> Void
    /// The checked-in corpus: inputs by name.
    var seeds: @Sendable () -> [String: [UInt8]]

    static let all: [FuzzTarget] = [
        .log, .manifest, .current, .edit, .batch, .block, .index, .filter, .table, .blob, .compression, .tuple, .jsonl,
        .csv, .database, .engine,
    ]

    static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

/// Ends the process if a property does not hold; libFuzzer keeps the input.
@inline(__always)
func expect(_ holds: Bool, _ property: @autoclosure () -> String) {
    if !holds { violated(property()) }
}

func violated(_ property: String) -> Never {
    let line = Array("apus-fuzz: this does not hold: \(property)\n".utf8)
    _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    abort()
}

/// For what cannot fail in a fuzzer's own preparations.
func must<Result>(_ what: String, _ body: () throws -> Result) -> Result {
    do { return try body() } catch { violated("\(what): \(error)") }
}
