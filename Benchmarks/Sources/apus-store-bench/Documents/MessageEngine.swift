// What the documents suite asks of an engine.

/// A database of conversations and messages: a primary key, a reference with cascade, a check, a unique index, an index
/// by conversation and time, and one by role. Every write that does not say otherwise is durable when it returns.
protocol MessageEngine: AnyObject {
    var name: String { get }

    /// Fills the database, in transactions as large as the engine likes.
    func load(conversations: Int, messages: Int) throws
    func addConversation(_ conversation: ConversationData) throws
    /// In one transaction.
    func insert(_ messages: ArraySlice<MessageData>) throws
    /// In a transaction of its own, durable or not.
    func insert(_ message: MessageData, durable: Bool) throws
    /// Sets the tokens of a message, in a transaction of its own.
    func update(_ key: String, tokens: Int) throws
    /// With all its messages, in a transaction of its own.
    func deleteConversation(_ key: String) throws

    /// The number of bytes of the message's text, read where the engine has it, with all other fields.
    func readRaw(_ key: String) throws -> Int
    func readRaw(hash: String) throws -> Int
    /// The same from a Swift value that the engine makes.
    func readTyped(_ key: String) throws -> Int
    func readTyped(hash: String) throws -> Int
    /// The number of bytes of the texts of the last 50 messages.
    func readLastRaw(_ conversation: String) throws -> Int
    func readLastTyped(_ conversation: String) throws -> Int

    /// Runs `body`, whose reads see one moment.
    func inReadTransaction(_ body: () throws -> Void) throws

    /// A connection for another thread.
    func makeReader() throws -> any MessageEngine
    func close() throws
}
