// A way of doing something that has worked, and how often.

import ApusStore

struct SuccessPattern: Document {
    var id = DocumentID.automatic
    var name: String
    var description: String
    var successes = 0
    var failures = 0
    /// 0 to 1, from the feedback.
    var confidence = 0.5
    var lastUsed: Timestamp?

    static let schema = Schema<SuccessPattern>()
        .unique(\.name)
        .index(.descending(\.confidence))
        .check("counts are not negative", \.successes >= 0 && \.failures >= 0)
        .check("confidence is a fraction", .isBetween(\.confidence, 0, 1))
}

/// How well a pattern did once.
struct EffectivenessFeedback: Document {
    var id = DocumentID.automatic
    var pattern: DocumentID
    var rating: Int
    var comment: String?
    var time: Timestamp

    static let schema = Schema<EffectivenessFeedback>()
        .references(SuccessPattern.self, by: \.pattern, onDelete: .cascade)
        .index(\.pattern, \.time)
        .check("ratings go from 1 to 5", .isBetween(\.rating, 1, 5))
}

extension AgentStorage {
    /// Keeps what somebody thinks of a pattern, and what that makes of the pattern, in one commit.
    func rate(_ pattern: DocumentID, _ rating: Int, comment: String? = nil) throws {
        try store.transaction { transaction in
            let feedback = EffectivenessFeedback(pattern: pattern, rating: rating, comment: comment, time: now)
            try effectiveness.insert(feedback, in: transaction)
            try patterns.update(pattern, in: transaction) { pattern in
                if rating >= 3 { pattern.successes += 1 } else { pattern.failures += 1 }
                // As if there had been one success and one failure before the first.
                pattern.confidence = Double(pattern.successes + 1) / Double(pattern.successes + pattern.failures + 2)
                pattern.lastUsed = now
            }
        }
    }
}
