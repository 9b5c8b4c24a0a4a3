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
    writeToStandardError("apus: \(message)\n")
}

/// Writes as much as stderr takes. Nobody can be told when that is nothing, and the exit code still says it.
func writeToStandardError(_ text: String) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(2, $0.baseAddress!, $0.count) }
        if count < 0, errno == EINTR { continue }
        if count <= 0 { return }
        rest = rest.dropFirst(count)
    }
}

/// Gives standard streams that the parent has closed a harmless meaning, so that no file gets their numbers.
func openStandardStreams() {
    for descriptor: Int32 in 0...2 where fcntl(descriptor, F_GETFD) < 0 { _ = open("/dev/null", O_RDWR) }
}

/// Refuses what the parser would misunderstand.
///
/// Arguments reach a Swift program as strings, in which bytes that are no UTF-8 have been replaced: two keys would
/// become one. And of a key like -dash the parser makes the options -d, -a, -s and -h, of which the last asks for help:
/// that would look like success.
func checkArguments() throws {
    var mayBeOption = true
    for index in 1..<max(1, Int(CommandLine.argc)) {
        guard let argument = CommandLine.unsafeArgv[index] else { continue }
        let bytes = UnsafeBufferPointer(start: argument, count: strlen(argument)).map { UInt8(bitPattern: $0) }
        guard isText(bytes) else {
            throw Failure("argument \(index), \(displayed(bytes)), is not UTF-8 text; give bytes by --hex", code: 64)
        }
        if bytes == Array("--".utf8) { mayBeOption = false }
        if mayBeOption, isBundle(bytes) {
            throw Failure(
                "there is no option \(shortened(displayed(bytes))); before keys and values that begin with a dash write "
                    + "--, and an option's value like that behind an equals sign, as in --prefix=-x", code: 64)
        }
    }
}

/// Whether these are several options of one letter in one argument. No command has any two that go together.
private func isBundle(_ argument: [UInt8]) -> Bool {
    argument.count > 2 && argument[0] == UInt8(ascii: "-") && argument[1] != UInt8(ascii: "-")
        && argument[2] != UInt8(ascii: "=")
}

/// Whether a person watches this descriptor.
func isTerminal(_ descriptor: Int32) -> Bool {
    isatty(descriptor) == 1
}
