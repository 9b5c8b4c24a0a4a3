// Threads that have to start, however little memory is left.

import ApusIO
import Foundation

extension SystemThread {
    /// Tries until the system has a thread to give: in a process with little memory that can take a while.
    static func started(_ body: @escaping @Sendable () -> Void) -> SystemThread {
        while true {
            if let thread = SystemThread(body) { return thread }
            Thread.sleep(forTimeInterval: 0.005)
        }
    }
}
