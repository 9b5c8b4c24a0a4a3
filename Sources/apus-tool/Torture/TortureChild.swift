// A process of this program that the torture starts, listens to, and kills without warning.

import ApusIO
import Foundation

final class TortureChild {
    private let process = Process()
    private let output = Pipe()
    private let errors: URL
    private var pending: [UInt8] = []
    private var isAtEnd = false
    private static let starting = Monitor(())

    enum End: Equatable {
        case exited(Int32)
        /// By a signal that we did not send: a trap, an abort.
        case signalled(Int32)
    }

    /// Starts this program with `arguments`, and `input` as its standard input.
    init(_ arguments: [String], input: String? = nil) throws {
        guard let executable = Bundle.main.executableURL else { throw Failure("cannot find this program's own file") }
        errors = FileManager.default.temporaryDirectory.appendingPathComponent("apus-torture-\(UUID())")
        try Data().write(to: errors)
        process.executableURL = executable
        process.arguments = arguments
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: errors)
        var environment = ProcessInfo.processInfo.environment
        // A trap ends at once, instead of taking seconds for a backtrace while the clock runs.
        environment["SWIFT_BACKTRACE"] = environment["SWIFT_BACKTRACE"] ?? "enable=no"
        process.environment = environment
        let given = Pipe()
        process.standardInput = input == nil ? FileHandle.nullDevice : given
        // One at a time: a child that inherits another's pipe would keep it open after that one's death.
        try Self.starting.withLock { _ in
            for pipe in [output, given] {
                for handle in [pipe.fileHandleForReading, pipe.fileHandleForWriting] {
                    _ = fcntl(handle.fileDescriptor, F_SETFD, FD_CLOEXEC)
                }
            }
            try process.run()
        }
        if let input {
            try given.fileHandleForWriting.write(contentsOf: Data(input.utf8))
            try given.fileHandleForWriting.close()
        }
    }

    deinit {
        if process.isRunning { kill() }
        try? FileManager.default.removeItem(at: errors)
    }

    /// The next line of its output; nil at the deadline, or at the end.
    func line(until deadline: ContinuousClock.Instant) throws -> String? {
        while true {
            if let end = pending.firstIndex(of: 0x0A) {
                defer { pending.removeSubrange(...end) }
                return String(decoding: pending[..<end], as: UTF8.self)
            }
            guard !isAtEnd, try receive(until: deadline) else { return nil }
        }
    }

    /// Whether its output has ended, which is when it has.
    var hasEnded: Bool { isAtEnd && pending.isEmpty }

    /// Everything it says until it ends; nil if that takes longer.
    func rest(until deadline: ContinuousClock.Instant) throws -> [UInt8]? {
        while !isAtEnd {
            if try !receive(until: deadline) { return nil }
        }
        defer { pending = [] }
        return pending
    }

    /// False at the deadline.
    private func receive(until deadline: ContinuousClock.Instant) throws -> Bool {
        let left = (deadline - .now).seconds
        var descriptor = pollfd(fd: output.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
        let ready = poll(&descriptor, 1, Int32(max(0, min(left * 1000, 3_600_000)).rounded(.up)))
        if ready < 0, errno != EINTR { throw Failure.system("cannot listen to a child process") }
        guard ready > 0 else { return ready < 0 || left > 0 }
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = buffer.withUnsafeMutableBytes { read(descriptor.fd, $0.baseAddress!, $0.count) }
        if count < 0, errno != EINTR { throw Failure.system("cannot listen to a child process") }
        if count == 0 { isAtEnd = true }
        if count > 0 { pending += buffer[..<count] }
        return true
    }

    /// SIGKILL. What it has said is still there to be read.
    func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
    }

    /// Waits for its end.
    func wait() -> End {
        process.waitUntilExit()
        return process.terminationReason == .exit
            ? .exited(process.terminationStatus) : .signalled(process.terminationStatus)
    }

    /// The end of what it has said on stderr.
    var complaint: String {
        let text = (try? String(contentsOf: errors, encoding: .utf8)) ?? ""
        return String(text.suffix(600)).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
