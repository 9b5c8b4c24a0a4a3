// Talking: a message, its tool calls, its attachments and the conversation's counters change in one commit.

import Apus
import ApusStore

/// What is to be said.
struct Utterance {
    var role: Message.Role
    var text: String
    var parent: DocumentID?
    var model: String?
    var toolCalls: [(tool: String, arguments: String, result: String)] = []
    var files: [(name: String, mediaType: String, bytes: [UInt8])] = []

    /// Good enough for a budget: four characters are about one token.
    var tokens: Int { (text.utf8.count + 3) / 4 }
}

extension AgentStorage {
    /// The conversation of that title, which begins here if there is none.
    func conversation(_ title: String, of project: String) throws -> DocumentID {
        try store.transaction { transaction in
            let existing = try conversations.query(in: transaction)
                .filter(\.project == project && \.title == title).first()
            if let existing { return existing.id }
            let conversation = Conversation(project: project, title: title, created: now, updated: now)
            return try conversations.insert(conversation, in: transaction)
        }
    }

    /// Adds a message to the end of a conversation, with all that belongs to it.
    @discardableResult
    func say(_ utterance: Utterance, in conversation: DocumentID) throws -> DocumentID {
        try store.transaction { transaction in
            let last = try messages.query(in: transaction).filter(\.conversation == conversation)
                .sorted(by: \.sequence, .descending).first()
            let message = Message(
                conversation: conversation, sequence: (last?.sequence ?? -1) + 1, parent: utterance.parent,
                role: utterance.role, time: now, text: utterance.text, tokens: utterance.tokens,
                model: utterance.model)
            let id = try messages.insert(message, in: transaction)
            for (position, call) in utterance.toolCalls.enumerated() {
                let done = ToolCall(
                    message: id, position: position, tool: call.tool, arguments: call.arguments, result: call.result,
                    status: .succeeded, started: now)
                try toolCalls.insert(done, in: transaction)
            }
            for file in utterance.files {
                let content = try blobs.put(file.bytes, in: transaction)
                try blobs.retain(content, in: transaction)
                let attachment = Attachment(
                    message: id, name: file.name, mediaType: file.mediaType, content: content,
                    byteCount: file.bytes.count)
                try attachments.insert(attachment, in: transaction)
            }
            try conversations.update(conversation, in: transaction) {
                $0.updated = now
                $0.tokens += utterance.tokens
            }
            return id
        }
    }

    /// The last messages of a conversation, oldest first.
    func history(of conversation: DocumentID, limit: Int = 50) throws -> [Message] {
        try messages.query().filter(\.conversation == conversation).sorted(by: \.time, .descending)
            .sorted(by: \.sequence, .descending).limit(limit).all().reversed()
    }

    /// What a model needs to know: the latest summary, and the messages that it does not stand for.
    func context(of conversation: DocumentID) throws -> (summary: String?, messages: [Message]) {
        let snapshot = try store.snapshot()
        let summary = try compactions.query(in: snapshot).filter(\.conversation == conversation)
            .sorted(by: \.lastSequence, .descending).first()
        let rest = try messages.query(in: snapshot)
            .filter(\.conversation == conversation && \.sequence > (summary?.lastSequence ?? -1))
            .sorted(by: \.sequence).all()
        return (summary?.summary, rest)
    }

    /// Lets `summarize` put all but the last messages into a few words. False if there is nothing to summarize.
    @discardableResult
    func compact(
        _ conversation: DocumentID, keeping kept: Int = 4, _ summarize: (String?, [Message]) -> String
    ) throws -> Bool {
        let context = try context(of: conversation)
        let old = context.messages.dropLast(kept)
        guard let last = old.last else { return false }
        let summary = Utterance(role: .system, text: summarize(context.summary, Array(old)))
        let tokensBefore = old.reduce(0) { $0 + $1.tokens }
        try store.transaction { transaction in
            let compaction = Compaction(
                conversation: conversation, lastSequence: last.sequence, summary: summary.text,
                tokensBefore: tokensBefore, tokensAfter: summary.tokens, time: now)
            try compactions.insert(compaction, in: transaction)
            try conversations.update(conversation, in: transaction) {
                $0.tokens = max(0, $0.tokens - tokensBefore) + summary.tokens
            }
        }
        return true
    }

    /// Deletes a conversation. References take everything along but blobs, which are counted.
    @discardableResult
    func deleteConversation(_ conversation: DocumentID) throws -> Bool {
        try store.transaction { transaction in
            for message in try messages.query(in: transaction).filter(\.conversation == conversation).all() {
                for attachment in try attachments.query(in: transaction).filter(\.message == message.id).all() {
                    try blobs.release(attachment.content, in: transaction)
                }
            }
            return try conversations.delete(conversation, in: transaction)
        }
    }
}
