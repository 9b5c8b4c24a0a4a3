// The data of the documents suite: conversations of 50 messages, with random text keys as applications make them, made
// from a number, so that every engine gets the same ones whenever it asks.

struct ConversationData {
    var id: String
    var title: String
    var created: Int64
}

struct MessageData {
    var id: String
    var conversation: String
    var role: String
    /// Milliseconds since 1970.
    var time: Int64
    /// Unique.
    var hash: String
    var tokens: Int
    var text: String
}

enum Messages {
    static let perConversation = 50
    static let roles = ["system", "user", "assistant", "tool"]
    private static let words = [
        "storage", "engine", "the", "a", "index", "of", "message", "and", "to", "commit", "reads", "writes", "page",
        "log",
        "tree", "with", "key", "value", "cache", "block", "that", "is", "snapshot", "in", "query", "plan", "for",
        "table",
    ]

    static func conversation(_ number: Int) -> ConversationData {
        ConversationData(
            id: identifier(number, salt: 1), title: "Conversation \(number)", created: 1_700_000_000_000 + Int64(number)
        )
    }

    /// Message `number` of a data set with that many conversations: the conversations take turns, as they do when many
    /// people write at once.
    static func message(_ number: Int, conversations: Int) -> MessageData {
        var random = Random(seed: UInt64(number))
        var text = ""
        text.reserveCapacity(420)
        while text.utf8.count < 400 {
            text += words[Int(truncatingIfNeeded: random.next() % UInt64(words.count))]
            text += " "
        }
        return MessageData(
            id: identifier(number, salt: 2), conversation: identifier(number % conversations, salt: 1),
            role: roles[Int(truncatingIfNeeded: random.next() & 3)], time: 1_700_000_000_000 + Int64(number) * 10,
            hash: identifier(number, salt: 3), tokens: Int(truncatingIfNeeded: random.next() % 4096), text: text)
    }

    static func messageKey(_ number: Int) -> String { identifier(number, salt: 2) }
    static func hash(_ number: Int) -> String { identifier(number, salt: 3) }
    static func conversationKey(_ number: Int) -> String { identifier(number, salt: 1) }

    /// As long as the text of a UUID, and as random.
    private static func identifier(_ number: Int, salt: UInt64) -> String {
        var random = Random(seed: UInt64(number) &* 4 &+ salt)
        let digits = hexadecimal(random.next()) + hexadecimal(random.next())
        let bytes = Array(digits.utf8)
        let parts = [bytes[0..<8], bytes[8..<12], bytes[12..<16], bytes[16..<20], bytes[20..<32]]
        return parts.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "-")
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

/// SplitMix64.
struct Random {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Below `bound`.
    mutating func next(below bound: Int) -> Int { Int(truncatingIfNeeded: next() % UInt64(bound)) }
}
