// A line on stderr that says how far a long job is: drawn over itself on a terminal, one plain line now and then where
// a log is wanted, nothing else.

import Foundation

final class ProgressBar {
    enum Style {
        case none, bar, lines
    }

    private let style: Style
    private let totalBytes: UInt64?
    private let start = ContinuousClock.now
    private var lastDrawn: ContinuousClock.Instant?
    private var isDrawn = false
    private var firstBytes: UInt64?

    init(_ style: Style, totalBytes: UInt64?) {
        self.style = style
        self.totalBytes = totalBytes
    }

    /// Draws at most ten times a second.
    func update(entries: Int, bytes: UInt64) {
        guard style != .none else { return }
        let now = ContinuousClock.now
        if let lastDrawn, now - lastDrawn < (style == .bar ? .milliseconds(100) : .milliseconds(200)) { return }
        lastDrawn = now
        if firstBytes == nil { firstBytes = bytes }
        let seconds = (now - start).seconds
        let rate = seconds > 0 ? Int(Double(entries) / seconds) : 0
        var text = "\(grouped(entries)) entries  \(grouped(rate))/s"
        if let totalBytes, totalBytes > 0 {
            let share = min(1, Double(bytes) / Double(totalBytes))
            // What was already there when this run began says nothing about its speed.
            let own = bytes - (firstBytes ?? 0)
            let left = own > 0 ? Double(totalBytes - min(bytes, totalBytes)) * seconds / Double(own) : 0
            text = "\(bar(share)) \(Int(share * 100)) %  \(text)  \(Int(left.rounded(.up))) s left"
        } else {
            text += "  \(byteSize(bytes))"
        }
        write(style == .bar ? "\r\u{1B}[2K\(text)" : "\(text)\n")
        isDrawn = true
    }

    /// Takes the bar away, so that the result stands alone.
    func finish() {
        if style == .bar, isDrawn { write("\r\u{1B}[2K") }
    }

    private func bar(_ share: Double) -> String {
        let width = 24
        let full = Int(share * Double(width))
        return "[" + String(repeating: "#", count: full) + String(repeating: "-", count: width - full) + "]"
    }

    private func write(_ text: String) {
        writeToStandardError(text)
    }
}
