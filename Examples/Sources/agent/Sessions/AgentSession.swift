// Who is at work: sessions that end by themselves, what they keep for a while, and preferences that last.

import Apus
import ApusStore

enum AgentSession {
    /// An hour without a word, or a day at most.
    static let expiry = SessionExpiry(idle: .seconds(3600), absolute: .seconds(86_400))
    static let cacheLifetime = Duration.seconds(600)
}

extension AgentStorage {
    /// The user's latest session, or a new one.
    func session(of user: String) throws -> Session {
        try store.transaction { transaction in
            if let latest = try sessions.list(of: user, in: transaction).first {
                try sessions.touch(latest.id, in: transaction)
                return latest
            }
            return try sessions.create(user: user, in: transaction)
        }
    }

    /// A preference as text.
    func preference(_ key: String, of user: String) throws -> String? {
        try sessions.preference(key, of: user).map { String(decoding: $0, as: UTF8.self) }
    }

    func setPreference(_ key: String, to value: String, of user: String) throws {
        try sessions.setPreference(key, to: Array(value.utf8), of: user)
    }
}
