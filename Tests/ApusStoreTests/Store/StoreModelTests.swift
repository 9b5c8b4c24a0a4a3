// The whole store against one model, over random histories of transactions that span every kind of collection, with
// crashes. A failing history prints the line that runs it again:
//
//   APUS_SEED=<seed>          runs that one alone and prints all of it
//   APUS_SEED_OFFSET=<n>      moves the whole range of seeds
//   APUS_STORE_HISTORIES=<n>  runs that many

import ApusIO
import Testing

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite("StoreModel")
struct StoreModelTests {
    private static func number(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }

    private static let groupCount = 4
    private static let historiesInGroup = Int(number("APUS_STORE_HISTORIES") ?? 12) / groupCount
    private static let tally = Monitor((histories: 0, crashes: 0, groupsLeft: groupCount))

    @Test("random histories agree with the model", arguments: 0..<groupCount)
    func histories(group: Int) {
        if let seed = Self.number("APUS_SEED") {
            if group == 0 { Self.run(seed, isPrinting: true) }
            return
        }
        for index in 0..<Self.historiesInGroup {
            let number = UInt64(group * Self.historiesInGroup + index)
            Self.run((Self.number("APUS_SEED_OFFSET") ?? 0) + number, isPrinting: false)
        }
        Self.tally.withLock { tally in
            tally.groupsLeft -= 1
            if tally.groupsLeft == 0 {
                print("store: \(tally.histories) histories, \(tally.crashes) crashes, all ends checked")
            }
        }
    }

    private static func run(_ seed: UInt64, isPrinting: Bool) {
        let history = StoreHistory(seed: seed, isPrinting: isPrinting)
        do {
            try history.run()
        } catch {
            Issue.record(
                """
                history \(seed): \(error)
                  \(history.trace.suffix(30).joined(separator: "\n  "))
                APUS_SEED=\(seed) prints it
                """)
        }
        tally.withLock { tally in
            tally.histories += 1
            tally.crashes += history.crashCount
        }
    }
}
