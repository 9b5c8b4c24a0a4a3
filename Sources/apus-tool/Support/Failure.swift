// How the command reports: one clear sentence on stderr, and an exit code.

import Foundation

/// Ends the command with a message for people and a code for scripts.
struct Failure: Error {
    var message: String
    var code: Int32 = 1

    init(_ message: String, code: Int32 = 1) {
        self.message = message
        self.code = code
    }

    /// The failure of a system call that just returned: what was tried, and why it did not work.
    static func system(_ action: String) -> Failure {
        Failure("\(action): \(String(cString: strerror(errno)))")
    }
}

/// Writes "apus: …" to stderr.
func complain(_ message: String) {
    FileHandle.standardError.write(Data("apus: \(message)\n".utf8))
}

/// Whether a person watches this descriptor.
func isTerminal(_ descriptor: Int32) -> Bool {
    isatty(descriptor) == 1
}
