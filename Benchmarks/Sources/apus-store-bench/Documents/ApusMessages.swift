// Conversations and messages in ApusStore.

import Apus
import ApusStore

struct Conversation: Document {
    var id: String
    var title: String
    var created: Timestamp
}

struct Message: Document {
    enum Role: String, Codable { case system, user, assistant, tool }

    var id: String
    var conversation: String
    var role: Role
    var time: Timestamp
    var hash: String
    var tokens: Int
    var text: String

    static let schema = Schema<Message>()
        .index(\.conversation, \.time)
        .index(\.role)
        .unique(\.hash)
        .check("text is not empty", \.text != "")
        .check("tokens are not negative", \.tokens >= 0)
        .check("role is known", .isOne(\.role, of: [.system, .user, .assistant, .tool]))
        .references(Conversation.self, by: \.conversation, onDelete: .cascade)
}

extension Message {
    init(_ data: MessageData) {
        self.init(
            id: data.id, conversation: data.conversation, role: Role(rawValue: data.role)!,
            time: Timestamp(milliseconds: data.time), hash: data.hash, tokens: data.tokens, text: data.text)
    }
}

final class ApusMessages: MessageEngine {
    let name = "ApusStore"
    private let store: Store
    private let conversations: Documents<Conversation>
    private let messages: Documents<Message>
    private let fields: Fields
    private var snapshot: StoreSnapshot?

    convenience init(path: String) throws {
        try self.init(store: Store.open(at: path, options: Options(memoryBudget: 256 << 20)))
    }

    private init(store: Store) throws {
        self.store = store
        conversations = try store.documents()
        let messages = try store.documents(Message.self)
        self.messages = messages
        fields = try Fields(
            id: messages.field(\.id), conversation: messages.field(\.conversation), role: messages.field(\.role),
            time: messages.field(\.time), hash: messages.field(\.hash), tokens: messages.field(\.tokens),
            text: messages.field(\.text))
    }

    private struct Fields {
        let id, conversation, role, time, hash, tokens, text: DocumentField
    }

    func load(conversations conversationCount: Int, messages messageCount: Int) throws {
        for start in stride(from: 0, to: conversationCount, by: 1000) {
            try store.transaction(durability: .relaxed) { transaction in
                for number in start..<min(start + 1000, conversationCount) {
                    let data = Messages.conversation(number)
                    try conversations.insert(
                        Conversation(id: data.id, title: data.title, created: Timestamp(milliseconds: data.created)),
                        in: transaction)
                }
            }
        }
        for start in stride(from: 0, to: messageCount, by: 1000) {
            try store.transaction(durability: .relaxed) { transaction in
                for number in start..<min(start + 1000, messageCount) {
                    try messages.insert(
                        Message(Messages.message(number, conversations: conversationCount)), in: transaction)
                }
            }
        }
        try store.database.compact()
    }

    func addConversation(_ data: ConversationData) throws {
        try conversations.insert(
            Conversation(id: data.id, title: data.title, created: Timestamp(milliseconds: data.created)))
    }

    func insert(_ batch: ArraySlice<MessageData>) throws {
        try store.transaction { transaction in
            for data in batch { try messages.insert(Message(data), in: transaction) }
        }
    }

    func insert(_ message: MessageData, durable: Bool) throws {
        try store.transaction(durability: durable ? .durable : .relaxed) { transaction in
            _ = try messages.insert(Message(message), in: transaction)
        }
    }

    func update(_ key: String, tokens: Int) throws {
        try messages.set(\.tokens, to: tokens, of: key)
    }

    func deleteConversation(_ key: String) throws {
        try conversations.delete(key)
    }

    /// Every field, and how long the text is.
    private func read(_ record: borrowing DocumentRecord) throws -> Int {
        keep(try record.withText(fields.id) { $0.count })
        keep(try record.withText(fields.conversation) { $0.count })
        keep(try record.withText(fields.role) { $0.count })
        keep(try record.integer(fields.time))
        keep(try record.withText(fields.hash) { $0.count })
        keep(try record.integer(fields.tokens))
        return try record.withText(fields.text) { $0.count } ?? 0
    }

    func readRaw(_ key: String) throws -> Int {
        try messages.withRecord(key, in: snapshot) { try read($0) }!
    }

    func readRaw(hash: String) throws -> Int {
        try messages.withRecord(by: \.hash, hash, in: snapshot) { try read($0) }!
    }

    func readTyped(_ key: String) throws -> Int {
        try messages.get(key, in: snapshot)!.text.utf8.count
    }

    func readTyped(hash: String) throws -> Int {
        try messages.get(by: \.hash, hash, in: snapshot)!.text.utf8.count
    }

    private func last(_ conversation: String) -> DocumentQuery<Message> {
        messages.query(in: snapshot)
            .filter(\.conversation == conversation)
            .sorted(by: \.time, .descending)
            .limit(50)
    }

    func readLastRaw(_ conversation: String) throws -> Int {
        var total = 0
        try last(conversation).forEachRecord { record in
            total += try read(record)
            return .next
        }
        return total
    }

    func readLastTyped(_ conversation: String) throws -> Int {
        try last(conversation).all().reduce(0) { $0 + $1.text.utf8.count }
    }

    func inReadTransaction(_ body: () throws -> Void) throws {
        snapshot = try store.snapshot()
        defer {
            snapshot?.release()
            snapshot = nil
        }
        try body()
    }

    func makeReader() throws -> any MessageEngine { try ApusMessages(store: store) }

    func close() throws { try store.close() }
}
