// One line on stderr that says how far the torture is, drawn over itself where a person watches.

import Foundation

final class TortureProgress {
    private let isShown: Bool
    private var lastDrawn: ContinuousClock.Instant?

    init(isShown: Bool) { self.isShown = isShown }

    /// Draws at most five times a second.
    func update(_ verdict: TortureVerdict, of rounds: Int) {
        guard isShown else { return }
        if let lastDrawn, ContinuousClock.now - lastDrawn < .milliseconds(200) { return }
        lastDrawn = .now
        let left = verdict.seconds / Double(verdict.rounds) * Double(rounds - verdict.rounds)
        let parts = [
            "round \(grouped(verdict.rounds)) of \(grouped(rounds))", counted(verdict.kills, "kill"),
            "\(counted(verdict.commitsAcknowledged, "commit")) acknowledged",
            "\(counted(verdict.violations.count, "violation"))", "\(Int(left.rounded(.up))) s left",
        ]
        write("\r\u{1B}[2K" + parts.joined(separator: "  "))
    }

    /// Takes the line away.
    func finish() {
        if lastDrawn != nil { write("\r\u{1B}[2K") }
    }

    private func write(_ text: String) {
        FileHandle.standardError.write(Data(text.utf8))
    }
}
