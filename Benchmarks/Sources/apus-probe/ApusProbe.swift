// apus-probe: performs one operation of Apus many times, and nothing else. `apus-bench` starts it to count what does not
// depend on the machine's mood:
//
//     apus-probe allocations [FILE]     heap allocations per operation, for people, and as JSON into FILE
//     apus-probe perform NAME COUNT     the operation NAME, COUNT times, for valgrind to count instructions

import FoundationEssentials
import Glibc

@main
enum ApusProbe {
    static func main() {
        #if ENGINE_APUS
        do {
            try run(Array(CommandLine.arguments.dropFirst()))
        } catch {
            fail("\(error)")
        }
        #else
        fail("The engine's sources are not there: nothing to probe.")
        #endif
    }

    private static func fail(_ message: String) -> Never {
        print(message)
        exit(1)
    }

    #if ENGINE_APUS

    private static func run(_ arguments: [String]) throws {
        switch arguments.first {
        case "allocations" where arguments.count <= 2:
            try countAllocations(file: arguments.dropFirst().first)
        case "perform" where arguments.count == 3:
            guard let operation = Operation(rawValue: arguments[1]), let count = Int(arguments[2]), count >= 0 else {
                fail("Operations are \(Operation.allCases.map(\.rawValue).joined(separator: ", ")).")
            }
            try ProbedDatabase.with(isClosed: false) { try $0.prepare(operation).perform(0..<count) }
            // Closing, or only letting go of the database, would write what was put: no part of the operation.
            _exit(0)
        default:
            fail("usage: apus-probe allocations [FILE] | perform NAME COUNT")
        }
    }

    private static func countAllocations(file: String?) throws {
        if let failure = HookCheck.failure() { fail("Allocations cannot be counted on this machine: \(failure).") }
        print("Counting works: objects, arrays and aligned buffers are one allocation each, plain calls are none.")
        var counts: [String: Double] = [:]
        for operation in Operation.allCases {
            let each = try ProbedDatabase.with { try allocations(of: try $0.prepare(operation)) }
            counts[operation.rawValue] = each
            print("\(operation.rawValue): \(each) allocations (\(operation.summary))")
        }
        guard let file else { return }
        try JSONEncoder().encode(counts).write(to: URL(filePath: file))
    }

    /// The least of several counts: what background threads allocate meanwhile is no part of the operation.
    private static func allocations(of prepared: PreparedOperation) throws -> Double {
        let rounds = prepared.operation.isLarge ? 100 : 10_000
        // The first round makes the runtime build its metadata.
        try prepared.perform(0..<rounds)
        var least = Int.max
        for round in 1...3 {
            let range = round * rounds..<(round + 1) * rounds
            let counted = try Allocations.during { try prepared.perform(range) }
            least = min(least, counted)
        }
        return Double(least) / Double(rounds)
    }

    #endif
}
