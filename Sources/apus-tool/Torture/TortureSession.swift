// One database that is tortured: rounds of starting a writer, killing it at a random moment, and having what it left
// verified. TortureTour runs several of them side by side.

import Foundation

final class TortureSession {
    struct Settings: Sendable {
        /// Holds the database, and what belongs to it.
        var directory: String
        var workload: TortureWorkload
        var memoryLimit: Int?
        var fileSizeLimit: Int?
        var fillsFileSystem = false
        /// How long anything may take that has to end by itself.
        var patience: Duration = .seconds(120)
    }

    private let settings: Settings
    private let ballast: Ballast
    private var random: TortureRandom
    private var state = AcknowledgmentState(.process)
    private(set) var verdict: TortureVerdict

    private var database: String { settings.directory + "/database" }

    init(_ settings: Settings) throws {
        self.settings = settings
        ballast = Ballast(path: settings.directory + "/ballast")
        random = TortureRandom(settings.workload.seed, 0x6B_696C_6C)
        verdict = TortureVerdict(seed: settings.workload.seed)
        try FileManager.default.createDirectory(atPath: settings.directory, withIntermediateDirectories: true)
        if settings.fillsFileSystem { try ballast.check() }
    }

    /// At the first violation the directory stays as it is then, and no further round makes sense.
    func round() throws {
        try killAndVerify()
        verdict.rounds += 1
        if !verdict.violations.isEmpty { try keepAcknowledgments() }
    }

    private func killAndVerify() throws {
        // Several crashes in a row reach recoveries of recoveries that were cut short.
        let kills = random.chance(1, in: 5) ? 2 + random.below(3) : 1
        for kill in 1...kills where verdict.violations.isEmpty {
            try writeAndKill(isLast: kill == kills)
        }
        verdict.violations += state.violations
        verdict.commitsAcknowledged = state.commits
        verdict.errors = state.errors
        if verdict.violations.isEmpty { try verify() }
    }

    // MARK: - Writing

    private func writeAndKill(isLast: Bool) throws {
        // Now and then it may end by itself, and is killed while it closes the database, or after that.
        let seconds: Double? = isLast && random.chance(1, in: 12) ? Double(20 + random.below(60)) / 1000 : nil
        state.beginRun()
        let child = try TortureChild(writerArguments(seconds: seconds))
        let start = ContinuousClock.now
        if settings.fillsFileSystem, isLast {
            try fillAndEmpty(child, start)
        } else if let seconds, random.chance(1, in: 2) {
            // A close that hangs shows here.
            try listen(child, until: start + settings.patience)
            if !child.hasEnded { verdict.violations.append("a writer that was to end after \(seconds) s did not") }
        } else {
            let moment = killMoment(isLast: isLast)
            if moment.isAfterOpening {
                try listen(child, until: start + settings.patience) { state.isOpen }
                if !state.isOpen, !child.hasEnded {
                    verdict.violations.append("a writer did not open the database in \(settings.patience.readable)")
                }
            }
            try listen(child, until: (moment.isAfterOpening ? .now : start) + moment.delay)
        }
        try end(child)
    }

    private func writerArguments(seconds: Double?) -> [String] {
        let budget = [1, 1, 2, 8][random.below(4)]
        var arguments = [
            "torture", "--writer", database, "--seed", "\(settings.workload.seed)", "--threads",
            "\(settings.workload.threads)", "--memory-budget", "\(budget)M",
        ]
        // Else a process is killed long before its log goes on to the next segment.
        if random.chance(1, in: 2) { arguments.append("--small") }
        if let memory = settings.memoryLimit { arguments += ["--memory-limit", "\(memory)"] }
        if let fileSize = settings.fileSizeLimit { arguments += ["--file-size-limit", "\(fileSize)"] }
        if settings.fillsFileSystem { arguments.append("--fill") }
        if let seconds { arguments += ["--seconds", "\(seconds)"] }
        return arguments
    }

    /// Mostly soon: opening, recovering and the first flushes are where there is most to break. Rarely late enough
    /// that the log has gone on to its next segment. How long opening takes is the machine's affair, so what is to hit
    /// the writing counts from there.
    private func killMoment(isLast: Bool) -> (isAfterOpening: Bool, delay: Duration) {
        let kind = random.below(100)
        let milliseconds =
            switch kind {
            case ..<35: random.below(60)
            case ..<88: random.below(80)
            case ..<98: random.below(300)
            default: isLast ? 500 + random.below(1_500) : random.below(60)
            }
        return (kind >= 35, .milliseconds(milliseconds))
    }

    /// Until the deadline, the end, or until enough was heard.
    private func listen(
        _ child: TortureChild, until deadline: ContinuousClock.Instant, orUntil isEnough: () -> Bool = { false }
    ) throws {
        while !isEnough(), let line = try child.line(until: deadline) { try note(line) }
    }

    private func note(_ line: String) throws {
        guard let acknowledgment = Acknowledgment(line) else {
            return verdict.violations.append("the writer says \"\(line)\"")
        }
        try state.apply(acknowledgment)
    }

    /// Kills what still runs, and hears what it has said before.
    private func end(_ child: TortureChild) throws {
        let wasRunning = !child.hasEnded
        if wasRunning { child.kill() }
        try listen(child, until: .now + settings.patience)
        switch child.wait() {
        case .signalled(SIGKILL) where wasRunning:
            verdict.kills += 1
            if !state.isOpen { verdict.killsDuringOpening += 1 }
        case .exited(0):
            if state.isClosed { verdict.cleanCloses += 1 }
        case .exited(1):
            if state.violations.isEmpty { verdict.violations.append("a writer ended: \(child.complaint)") }
        case .exited(let code):
            throw Failure("a writer ended with \(code): \(child.complaint)", code: 2)
        case .signalled(let signal):
            // Swift has no way to go on without memory; that nothing is lost then is still to be shown.
            if settings.memoryLimit != nil, child.complaint.isForWantOfMemory {
                verdict.endsForWantOfMemory += 1
            } else {
                verdict.violations.append("a writer ended by signal \(signal): \(child.complaint)")
            }
        }
    }

    // MARK: - A full file system

    private func fillAndEmpty(_ child: TortureChild, _ start: ContinuousClock.Instant) throws {
        try listen(child, until: start + .milliseconds(10 + random.below(120)))
        try ballast.fill()
        verdict.fillings += 1
        try listen(child, until: .now + .milliseconds(20 + random.below(200)))
        guard !child.hasEnded, random.chance(2, in: 3) else { return ballast.remove() }
        ballast.remove()
        // There is room again: what waited must go on by itself. One commit may have been on its way per thread.
        let wanted = state.commits + 2 * settings.workload.threads
        let deadline = ContinuousClock.now + settings.patience
        try listen(child, until: deadline) { state.commits >= wanted }
        if state.commits < wanted, !child.hasEnded, state.violations.isEmpty {
            verdict.violations.append("writers did not go on \(settings.patience.readable) after there was room again")
        }
        try listen(child, until: .now + .milliseconds(random.below(60)))
    }

    // MARK: - Verifying

    private func verify() throws {
        let child = try TortureChild(
            ["torture", "--verifier", database, "--acknowledgments", "-", "--json"],
            input: state.summary.map { $0.line + "\n" }.joined()
        )
        guard let answer = try child.rest(until: .now + settings.patience) else {
            child.kill()
            return verdict.violations.append("verifying takes more than \(settings.patience.readable)")
        }
        let end = child.wait()
        guard [.exited(0), .exited(1)].contains(end),
            let found = try? JSONDecoder().decode(TortureVerifier.Verdict.self, from: Data(answer))
        else {
            return verdict.violations.append("the verifier ended (\(end)): \(child.complaint)")
        }
        verdict.violations += found.violations
        verdict.entriesChecked += found.entriesChecked
        verdict.recoveries += found.recoveries
        verdict.commitsVerified = found.positions.reduce(0, +)
        // What an open has shown must stay.
        if found.clean, state.wasOpened {
            for (thread, count) in found.positions.enumerated() {
                try state.apply(.known(thread: thread, durable: count, count: count))
            }
        }
    }

    /// For whoever runs the verifier on what is left.
    private func keepAcknowledgments() throws {
        let text = state.summary.map { $0.line + "\n" }.joined()
        try Data(text.utf8).write(to: URL(fileURLWithPath: settings.directory + "/acknowledgments"))
    }
}

extension String {
    /// The system kills silently; the Swift runtime and the engine say that there is no memory. Any other last word
    /// is a mistake that the lack of memory has only brought to light.
    fileprivate var isForWantOfMemory: Bool {
        let reasons = ["memory", "bad_alloc", "allocat", "no address space"]
        return !contains("Fatal error") || reasons.contains { localizedCaseInsensitiveContains($0) }
    }
}
