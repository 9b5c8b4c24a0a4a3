// An embedder without a model: every word, and every pair of neighbouring words, is hashed to one element of the vector
// (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009). Texts that share words are near each
// other. The same text gives the same vector on every machine.

struct HashingEmbedder: Embedder {
    let name: String
    let dimension: Int

    init(dimension: Int = 384) {
        self.dimension = dimension
        name = "hashing-\(dimension)"
    }

    func embed(_ texts: [String]) -> [[Float]] { texts.map { embed($0) } }

    private func embed(_ text: String) -> [Float] {
        var counts: [String: Int] = [:]
        var previous: String?
        for word in Words.of(text) where !Words.common.contains(word) {
            counts[word, default: 0] += 1
            if let previous { counts["\(previous) \(word)", default: 0] += 1 }
            previous = word
        }
        var vector = [Float](repeating: 0, count: dimension)
        // In a fixed order: sums of floating-point numbers depend on it.
        for (feature, count) in counts.sorted(by: { $0.key < $1.key }) {
            let hash = Self.hash(feature)
            let weight = (1 + Float(count.trailingLogarithm)) * (feature.contains(" ") ? 0.4 : 1)
            // Half of the features count negatively, so that collisions cancel out.
            vector[Int(hash % UInt64(dimension))] += hash >> 63 == 0 ? weight : -weight
        }
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        // A text without words is near nothing; a vector has to point somewhere.
        guard length > 0 else { return [1] + [Float](repeating: 0, count: dimension - 1) }
        return vector.map { $0 / length }
    }

    /// FNV-1a and a finish that mixes all bits; Swift's own hashes differ from run to run.
    private static func hash(_ text: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        hash ^= hash >> 33
        hash &*= 0xFF51_AFD7_ED55_8CCD
        return hash ^ hash >> 33
    }
}

extension Int {
    /// The whole part of the binary logarithm: frequent words count more, but not in proportion.
    fileprivate var trailingLogarithm: Int { Int.bitWidth - 1 - Swift.max(1, self).leadingZeroBitCount }
}

/// Words as programs and people write them.
enum Words {
    /// Lowercase words of letters and digits; `maxOpenFiles` and `max_open_files` are three each.
    static func of(_ text: String) -> [String] {
        var words: [String] = []
        var word: [UInt8] = []
        var wasLowercase = false
        func finish() {
            // One word for one thing and several: keys are found by key.
            if word.count > 3, word.last == UInt8(ascii: "s"), word[word.count - 2] != UInt8(ascii: "s") {
                word.removeLast()
            }
            if word.count > 1 { words.append(String(decoding: word, as: UTF8.self)) }
            word = []
        }
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"):
                if wasLowercase { finish() }
                word.append(byte | 0x20)
                wasLowercase = false
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...:
                word.append(byte)
                wasLowercase = true
            default:
                finish()
                wasLowercase = false
            }
        }
        finish()
        return words
    }

    /// Words that say nothing about a text.
    static let common: Set = [
        "the", "of", "and", "to", "in", "is", "it", "that", "for", "as", "with", "this", "be", "or", "by", "on", "an",
        "are", "not", "if", "from", "at", "which", "let", "var", "func", "return", "static", "public", "private",
        "self",
        "try", "int", "void", "const", "char", "define", "include", "endif", "ifdef", "ifndef", "else", "extern",
        "what",
        "how", "does", "do", "where", "when", "who", "why", "can",
    ]
}
