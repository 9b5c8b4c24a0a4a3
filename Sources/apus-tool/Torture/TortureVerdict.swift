// What a torture has found, as JSON and in words.

/// Figures of one database, or of several together.
struct TortureVerdict: Encodable, Sendable {
    private(set) var clean = true
    var seed: UInt64
    var databases = 1
    var rounds = 0
    var kills = 0
    /// Before the writer had opened the database.
    var killsDuringOpening = 0
    var cleanCloses = 0
    var commitsAcknowledged = 0
    /// In the databases at the last verification; more than acknowledged where commits were on their way.
    var commitsVerified = 0
    var entriesChecked = 0
    var recoveries = 0
    /// Times that the file system was full.
    var fillings = 0
    /// Errors of the writers, by kind: expected while something is lacking.
    var errors: [String: Int] = [:]
    /// Writers that the system's refusal of memory has ended.
    var endsForWantOfMemory = 0
    var violations: [String] = [] {
        didSet { clean = violations.isEmpty }
    }
    var seconds = 0.0

    init(seed: UInt64) { self.seed = seed }

    /// The figures of several databases; the seed is that of the first.
    init(seed: UInt64, sumOf verdicts: [TortureVerdict]) {
        self.seed = seed
        databases = verdicts.count
        for verdict in verdicts {
            rounds += verdict.rounds
            kills += verdict.kills
            killsDuringOpening += verdict.killsDuringOpening
            cleanCloses += verdict.cleanCloses
            commitsAcknowledged += verdict.commitsAcknowledged
            commitsVerified += verdict.commitsVerified
            entriesChecked += verdict.entriesChecked
            recoveries += verdict.recoveries
            fillings += verdict.fillings
            errors.merge(verdict.errors, uniquingKeysWith: +)
            endsForWantOfMemory += verdict.endsForWantOfMemory
            violations += verdict.violations
        }
        clean = violations.isEmpty
    }

    /// For people.
    var lines: [String] {
        var lines = [
            "\(counted(rounds, "round")), \(counted(kills, "kill")) (\(grouped(killsDuringOpening)) during opening), "
                + "\(counted(cleanCloses, "clean close")), \(Duration.seconds(seconds).readable)",
            "\(counted(commitsAcknowledged, "commit")) acknowledged, \(grouped(commitsVerified)) found, "
                + "\(grouped(entriesChecked)) entries checked, \(grouped(recoveries)) recoveries",
        ]
        if fillings > 0 { lines.append("the file system was full \(counted(fillings, "time"))") }
        if endsForWantOfMemory > 0 {
            lines.append("\(counted(endsForWantOfMemory, "writer")) ended for want of memory")
        }
        lines += errors.sorted { $0.key < $1.key }.map { "typed errors: \($0.key) \(counted($0.value, "time"))" }
        return lines + Self.lines(violations)
    }

    static func lines(_ violations: [String]) -> [String] {
        violations.map { "violation  \($0)" } + [violations.isEmpty ? "clean" : counted(violations.count, "violation")]
    }
}
