// Which sessions there are: of a user, or by when they were last used.

import Apus

extension SessionCollection {
    /// The sessions of a user that have not expired, last used first.
    public func list(of user: String) throws -> [Session] {
        try list(of: user, in: store)
    }

    /// The sessions of a user that have not expired by then, last used first.
    public func list(of user: String, in reader: some StoreReader) throws -> [Session] {
        try store.withMoment(of: reader) { moment in
            var ids: [SessionID] = []
            try moment.scan(.prefix(SessionKey.users(user)), in: entries) { key, _ in
                if let id = key.withBytes({ SessionKey.id(atEndOf: $0) }) { ids.append(id) }
                return .next
            }
            return Self.lastUsedFirst(try ids.compactMap { try load($0, in: moment) })
        }
    }

    /// The sessions that have not expired, last used first.
    ///
    /// - Parameter limit: how many at most.
    /// - Complexity: proportional to the sessions returned, and those last used in the same minute as they.
    public func recent(limit: Int) throws -> [Session] {
        try recent(limit: limit, in: store)
    }

    /// The sessions that have not expired by then, last used first. See `recent(limit:)`.
    public func recent(limit: Int, in reader: some StoreReader) throws -> [Session] {
        guard limit > 0 else { return [] }
        // A session that is touched while the list is read would move away from where it is looked for.
        return try store.withMoment(of: reader) { try recent(atMost: limit, in: $0) }
    }

    private func recent(atMost limit: Int, in reader: any StoreReader) throws -> [Session] {
        var found: [Session] = []
        // Those of one period, which are in no order yet.
        var current: [Session] = []
        var currentPeriod: UInt64?
        try reader.scan(.prefix([SessionTag.recency]), in: entries) { key, _ in
            guard let (period, id) = key.withBytes({ SessionKey.recency($0) }) else { return .next }
            if period != currentPeriod {
                found += Self.lastUsedFirst(current)
                current = []
                currentPeriod = period
                if found.count >= limit { return .stop }
            }
            // A session that has been touched since has another entry, further up.
            if let session = try load(id, in: reader), SessionKey.period(of: session.lastActive) == period {
                current.append(session)
            }
            return .next
        }
        return Array((found + Self.lastUsedFirst(current)).prefix(limit))
    }

    private static func lastUsedFirst(_ sessions: [Session]) -> [Session] {
        sessions.sorted { ($1.lastActive, $0.id) < ($0.lastActive, $1.id) }
    }
}
