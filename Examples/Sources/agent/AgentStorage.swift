// Everything the agent keeps, in one store: whatever belongs together is committed together.
//
//   Conversations/   messages, tool calls, attachments, compactions        conversations.db
//   Knowledge/       components, documentation, decisions, what has worked knowledge.db
//   Files/           source files, how they are related, changed and used  files.db
//   Sessions/        sessions, their cache, preferences                    sessions.db
//   Search/          embeddings and their indexes                          a vector library, and a table about it

import Apus
import ApusIO
import ApusStore

struct AgentStorage: Sendable {
    let store: Store

    let conversations: Documents<Conversation>
    let messages: Documents<Message>
    let toolCalls: Documents<ToolCall>
    let attachments: Documents<Attachment>
    let compactions: Documents<Compaction>

    let components: Documents<Component>
    let documentation: Documents<DocumentationFile>
    let decisions: Documents<Decision>
    let patterns: Documents<SuccessPattern>
    let effectiveness: Documents<EffectivenessFeedback>

    let files: Documents<SourceFile>
    let relationships: Documents<Relationship>
    let changes: Documents<FileChange>
    let accesses: Documents<AccessPattern>
    let scores: Documents<RelevanceScore>
    let relevance: Documents<RelevanceFeedback>
    let snippets: Documents<Snippet>

    let searchIndexes: Documents<SearchIndex>
    let embeddings: Documents<EmbeddingRecord>

    let sessions: SessionCollection
    let blobs: BlobCollection

    /// A collection is opened after those that it refers to.
    init(_ store: Store) throws {
        self.store = store
        conversations = try store.documents()
        messages = try store.documents()
        toolCalls = try store.documents()
        attachments = try store.documents()
        compactions = try store.documents()
        components = try store.documents()
        documentation = try store.documents()
        decisions = try store.documents()
        patterns = try store.documents()
        effectiveness = try store.documents()
        files = try store.documents()
        relationships = try store.documents()
        changes = try store.documents()
        accesses = try store.documents()
        scores = try store.documents()
        relevance = try store.documents()
        snippets = try store.documents()
        searchIndexes = try store.documents()
        embeddings = try store.documents()
        sessions = try store.sessions("agent", expiry: AgentSession.expiry)
        blobs = try store.blobs()
    }

    init(at directory: String, creating: Bool) throws {
        var options = Options()
        options.createIfMissing = creating
        try self.init(Store.open(at: directory, options: options))
    }

    /// By the database's clock, so that a test can say what time it is.
    var now: Timestamp { Timestamp(milliseconds: Int64(store.time)) }
}
