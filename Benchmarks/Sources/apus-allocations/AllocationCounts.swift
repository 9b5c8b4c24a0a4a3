// apus-allocations: heap allocations per operation of Apus, run by `apus-bench allocations`.

import Glibc

@main
enum AllocationCounts {
    static func main() {
        if let failure = HookCheck.failure() {
            print("Allocations cannot be counted on this machine: \(failure).")
            exit(1)
        }
        print("Counting works: objects, arrays and aligned buffers are each one allocation, a plain loop is none.")
    }
}
