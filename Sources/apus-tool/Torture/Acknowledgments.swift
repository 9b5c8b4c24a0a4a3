// The contract between a torture writer and whoever checks on it: lines of text that say what was acknowledged.
// Torture.md in the DocC catalogue documents them for outside tools.
//
//   workload 1 SEED THREADS        first, once per run of a writer
//   known THREAD DURABLE COUNT     stands for all lines so far: COUNT commits of the thread, the first DURABLE durable
//   found THREAD COUNT             the database was opened and holds COUNT commits of the thread
//   durable THREAD COUNT           commit number COUNT of the thread has returned; it was durable
//   relaxed THREAD COUNT           …; it was relaxed
//   single THREAD COUNT            the write by itself that follows that commit has returned; it was relaxed
//   single-durable THREAD COUNT    …; it was durable
//   error KIND TEXT                an operation failed with an error of the engine's
//   violation TEXT                 the writer itself has seen what must not be
//   closed                         the database was closed, and the call returned

import Foundation

/// One line.
enum Acknowledgment: Equatable {
    case workload(TortureWorkload)
    case known(thread: Int, durable: Int, count: Int)
    case found(thread: Int, count: Int)
    case committed(thread: Int, count: Int, isDurable: Bool)
    case single(thread: Int, count: Int, isDurable: Bool)
    case error(kind: String, text: String)
    case violation(String)
    case closed

    var line: String {
        switch self {
        case .workload(let workload): "workload 1 \(workload.seed) \(workload.threads)"
        case .known(let thread, let durable, let count): "known \(thread) \(durable) \(count)"
        case .found(let thread, let count): "found \(thread) \(count)"
        case .committed(let thread, let count, let isDurable): "\(isDurable ? "durable" : "relaxed") \(thread) \(count)"
        case .single(let thread, let count, let isDurable): "single\(isDurable ? "-durable" : "") \(thread) \(count)"
        case .error(let kind, let text): "error \(kind) \(oneLine(text))"
        case .violation(let text): "violation \(oneLine(text))"
        case .closed: "closed"
        }
    }

    /// nil if the line makes no sense.
    init?(_ line: some StringProtocol) {
        let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        func numbers() -> (Int, Int)? {
            guard words.count == 3, let thread = Int(words[1]), let count = Int(words[2]), thread >= 0, count >= 0
            else { return nil }
            return (thread, count)
        }
        switch words.first {
        case "workload":
            let words = line.split(separator: " ")
            guard words.count == 4, words[1] == "1", let seed = UInt64(words[2]), let threads = Int(words[3]),
                TortureWorkload.threadRange.contains(threads)
            else { return nil }
            self = .workload(TortureWorkload(seed: seed, threads: threads))
        case "known":
            let numbers = line.split(separator: " ").dropFirst().compactMap { Int($0) }
            guard numbers.count == 3, numbers.allSatisfy({ $0 >= 0 }), numbers[1] <= numbers[2] else { return nil }
            self = .known(thread: numbers[0], durable: numbers[1], count: numbers[2])
        case "found":
            guard let (thread, count) = numbers() else { return nil }
            self = .found(thread: thread, count: count)
        case "durable", "relaxed":
            guard let (thread, count) = numbers() else { return nil }
            self = .committed(thread: thread, count: count, isDurable: words[0] == "durable")
        case "single", "single-durable":
            guard let (thread, count) = numbers() else { return nil }
            self = .single(thread: thread, count: count, isDurable: words[0] == "single-durable")
        case "error":
            guard words.count == 3 else { return nil }
            self = .error(kind: String(words[1]), text: String(words[2]))
        case "violation":
            self = .violation(words.dropFirst().joined(separator: " "))
        case "closed":
            guard words.count == 1 else { return nil }
            self = .closed
        default: return nil
        }
    }

    fileprivate var isWorkload: Bool {
        if case .workload = self { true } else { false }
    }

    private func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }
}

/// Where a writer's lines go. Any thread; every line is one write, so lines never mix.
struct AcknowledgmentOutput: Sendable {
    private let descriptor: Int32

    /// - Parameter path: a file to append to; nil for standard output.
    init(path: String?) throws {
        guard let path else {
            descriptor = 1
            return
        }
        descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
        if descriptor < 0 { throw Failure.system("cannot write \(path)") }
        try dropTornLine(path)
    }

    func write(_ acknowledgment: Acknowledgment) {
        let bytes = Array((acknowledgment.line + "\n").utf8)
        var start = 0
        while start < bytes.count {
            let count = bytes.withUnsafeBytes {
                Foundation.write(descriptor, $0.baseAddress! + start, $0.count - start)
            }
            if count < 0, errno != EINTR {
                // Without its log a writer proves nothing.
                complain("cannot write acknowledgments: \(String(cString: strerror(errno)))")
                exit(2)
            }
            start += max(0, count)
        }
    }

    /// A run that was killed may have left half a line, which ours must not continue.
    private func dropTornLine(_ path: String) throws {
        var end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else { return }  // a pipe or a terminal
        var byte: UInt8 = 0
        while end > 0, pread(descriptor, &byte, 1, end - 1) == 1, byte != 0x0A { end -= 1 }
        guard ftruncate(descriptor, end) == 0 else { throw Failure.system("cannot write \(path)") }
    }
}

/// What is known from the lines so far.
struct AcknowledgmentState {
    /// What a crash may take away.
    enum Crash {
        /// Only what had not returned: the system's memory survives a process.
        case process
        /// Relaxed commits, too, as a suffix of the order.
        case power
    }

    let crash: Crash
    private(set) var workload: TortureWorkload?
    /// Per thread: commits that must survive whatever happens.
    private(set) var durable: [Int] = []
    /// Per thread: commits whose call has returned.
    private(set) var acknowledged: [Int] = []
    /// Per thread: the last commit whose single write has returned, and the last one after which it was durable.
    private var singles: [(returned: Int, durable: Int)] = []
    /// Whether a writer has had the database open.
    private(set) var wasOpened = false
    /// Whether the latest writer has.
    private(set) var isOpen = false
    private(set) var isClosed = false
    private(set) var violations: [String] = []
    /// Typed errors by kind.
    private(set) var errors: [String: Int] = [:]
    /// Lines that say that a commit has returned.
    private(set) var commits = 0

    init(_ crash: Crash) { self.crash = crash }

    /// The commits that a thread may have after a crash.
    func legalPositions(_ thread: Int) -> ClosedRange<Int> {
        switch crash {
        // One commit was on its way.
        case .process: acknowledged[thread]...acknowledged[thread] + 1
        case .power: durable[thread]...Int.max
        }
    }

    /// Whether the single write after that commit must have survived; that of an earlier commit must anyhow.
    func requiresSingle(_ thread: Int, after count: Int) -> Bool {
        switch crash {
        case .process: singles[thread].returned == count
        case .power: singles[thread].durable == count
        }
    }

    /// Another writer is about to start.
    mutating func beginRun() {
        isOpen = false
        isClosed = false
    }

    mutating func apply(_ acknowledgment: Acknowledgment) throws {
        switch acknowledgment {
        case .workload(let workload):
            beginRun()
            if let known = self.workload {
                guard known == workload else { throw Failure("the acknowledgments are of two workloads", code: 2) }
            } else {
                self.workload = workload
                durable = Array(repeating: 0, count: workload.threads)
                acknowledged = durable
                singles = durable.map { _ in (0, 0) }
            }
        case .known(let thread, let durable, let count):
            try check(thread)
            wasOpened = true
            self.durable[thread] = durable
            acknowledged[thread] = count
        case .found(let thread, let count):
            try check(thread)
            if !legalPositions(thread).contains(count) { violations.append(explain(thread, count)) }
            wasOpened = true
            isOpen = true
            durable[thread] = count
            acknowledged[thread] = count
        case .committed(let thread, let count, let isDurable):
            try check(thread)
            guard count == acknowledged[thread] + 1 else {
                throw Failure(
                    "the acknowledgments have commit \(count) of thread \(thread) after commit \(acknowledged[thread])",
                    code: 2
                )
            }
            commits += 1
            acknowledged[thread] = count
            if isDurable { durable[thread] = count }
        case .single(let thread, let count, let isDurable):
            try check(thread)
            guard count == acknowledged[thread] else {
                throw Failure(
                    "the acknowledgments have the single write after commit \(count) of thread \(thread) after commit "
                        + "\(acknowledged[thread])",
                    code: 2
                )
            }
            singles[thread].returned = count
            if isDurable { singles[thread].durable = count }
        case .error(let kind, _): errors[kind, default: 0] += 1
        case .violation(let text): violations.append(text)
        case .closed: isClosed = true
        }
    }

    /// A sentence about a thread that has fewer or more commits than it may.
    func explain(_ thread: Int, _ count: Int) -> String {
        let legal = legalPositions(thread)
        if count < legal.lowerBound {
            return "lost: \(legal.lowerBound) commits of thread \(thread) were acknowledged, \(count) are there"
        }
        return "\(count) commits of thread \(thread) are there, at most \(legal.upperBound) were begun"
    }

    /// Everything in a file of lines, of which the last may be torn.
    static func read(_ text: [UInt8], crash: Crash) throws -> AcknowledgmentState {
        var state = AcknowledgmentState(crash)
        var lines = text.split(separator: 0x0A, omittingEmptySubsequences: false)
        lines.removeLast()
        for (index, line) in lines.enumerated() {
            guard let acknowledgment = Acknowledgment(String(decoding: line, as: UTF8.self)) else {
                throw Failure("line \(index + 1) of the acknowledgments makes no sense: \(displayed(line))", code: 2)
            }
            guard state.workload != nil || acknowledgment.isWorkload else {
                throw Failure("the acknowledgments do not begin with a workload", code: 2)
            }
            try state.apply(acknowledgment)
        }
        return state
    }

    /// Lines that say the same as all those before them.
    var summary: [Acknowledgment] {
        guard let workload else { return [] }
        guard wasOpened else { return [.workload(workload)] }
        return [.workload(workload)]
            + acknowledged.indices.flatMap { thread -> [Acknowledgment] in
                let count = acknowledged[thread]
                let known = Acknowledgment.known(thread: thread, durable: durable[thread], count: count)
                guard count > 0, singles[thread].returned == count else { return [known] }
                return [known, .single(thread: thread, count: count, isDurable: singles[thread].durable == count)]
            }
    }

    private func check(_ thread: Int) throws {
        guard acknowledged.indices.contains(thread) else {
            throw Failure("the acknowledgments name thread \(thread), which the workload does not have", code: 2)
        }
    }
}
