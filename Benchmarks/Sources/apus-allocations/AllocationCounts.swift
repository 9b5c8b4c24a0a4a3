// apus-allocations: heap allocations per operation of Apus, run by `apus-bench allocations`.

import Glibc

@main
enum AllocationCounts {
    static func main() {
        if let failure = HookCheck.failure() {
            print("Allocations cannot be counted on this machine: \(failure).")
            exit(1)
        }
        print("Counting works: objects, arrays and aligned buffers are one allocation each, plain calls are none.")
        #if ENGINE_APUS
        do {
            exit(try ApusAllocations.run() ? 0 : 1)
        } catch {
            print("\(error)")
            exit(1)
        }
        #else
        print("The engine's sources are not there: nothing more to count.")
        exit(1)
        #endif
    }
}
