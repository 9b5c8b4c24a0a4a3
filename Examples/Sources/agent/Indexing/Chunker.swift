// Cutting a text into pieces that are large enough to say something and small enough to be quoted.

/// Some lines of a text.
struct Chunk: Equatable {
    /// From 1.
    var firstLine: Int
    var lastLine: Int
    var kind: Snippet.Kind
    var text: String
}

struct Chunker {
    /// A piece ends at the first empty line after so many, and after `longest` in any case.
    var shortest = 12
    var longest = 40
    /// A line longer than this is cut: generated files have lines of a megabyte.
    var longestLine = 400

    func chunks(of text: String, language: String) -> [Chunk] {
        var chunks: [Chunk] = []
        var lines: [Substring] = []
        var number = 0
        func finish() {
            if lines.contains(where: { !$0.allSatisfy(\.isWhitespace) }) {
                chunks.append(
                    Chunk(
                        firstLine: number - lines.count + 1, lastLine: number, kind: kind(of: lines, language),
                        text: lines.joined(separator: "\n")))
            }
            lines = []
        }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            number += 1
            lines.append(line.prefix(longestLine))
            if lines.count >= longest || lines.count >= shortest && line.allSatisfy(\.isWhitespace) { finish() }
        }
        finish()
        return chunks
    }

    private func kind(of lines: [Substring], _ language: String) -> Snippet.Kind {
        if ["markdown", "text"].contains(language) { return .prose }
        let comments = lines.count { line in
            let text = line.drop(while: \.isWhitespace)
            return ["//", "/*", "*", "#!", "--"].contains { text.hasPrefix($0) }
        }
        return 2 * comments > lines.count ? .comment : .code
    }
}
