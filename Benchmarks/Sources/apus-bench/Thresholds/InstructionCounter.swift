// Counts the instructions of one operation with valgrind's callgrind: the difference between many and few operations,
// so that starting, filling and closing cancel out.

import FoundationEssentials
import Glibc

struct InstructionCounter {
    let valgrind: String
    let probe: String
    /// For callgrind's file.
    let folder: String

    /// So many that the little by which starting and filling vary does not matter. Nothing is flushed meanwhile.
    static func counts(of operation: String) -> (few: Int, many: Int) {
        switch operation {
        case "put": (2_000, 42_000)
        case "commit": (20, 420)
        default: (2_000, 102_000)
        }
    }

    /// Nil when valgrind is not installed.
    static func findValgrind() -> String? {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        return path.split(separator: ":").map { "\($0)/valgrind" }.first { access($0, X_OK) == 0 }
    }

    func instructions(of operation: String) throws -> Double {
        let counts = Self.counts(of: operation)
        let few = try total(operation, counts.few)
        let many = try total(operation, counts.many)
        return Double(many - few) / Double(counts.many - counts.few)
    }

    private func total(_ operation: String, _ count: Int) throws -> Int {
        let file = "\(folder)/callgrind.out"
        let status = try ChildProcess.run(
            valgrind,
            ["--tool=callgrind", "-q", "--callgrind-out-file=\(file)", probe, "perform", operation, "\(count)"]
        )
        guard status == 0 else { throw BenchmarkError("\(operation) under valgrind failed") }
        guard let text = KernelFile.text(file), let total = Self.total(in: text) else {
            throw BenchmarkError("callgrind wrote no total for \(operation)")
        }
        return total
    }

    /// Of a file that callgrind wrote: the sum over all threads.
    static func total(in text: String) -> Int? {
        for line in text.split(separator: "\n").reversed() where line.hasPrefix("totals:") {
            return Int(line.dropFirst("totals:".count).trimmingPrefix { $0 == " " })
        }
        return nil
    }
}
