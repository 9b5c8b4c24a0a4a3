// The asynchronous forms: the same calls on a thread of the database, so that no thread of the cooperative pool waits for
// a disk.

public import Apus

extension Store {
    /// See the synchronous `sessions(_:expiry:resolution:)`.
    public func sessions(
        _ name: String = "sessions", expiry: SessionExpiry = SessionExpiry(), resolution: Duration = .seconds(1)
    ) async throws -> SessionCollection {
        try await onWorker { try self.sessions(name, expiry: expiry, resolution: resolution) }
    }
}

extension SessionCollection {
    /// See the synchronous `create`.
    public func create(
        user: String = "", data: [UInt8] = [], expiry: SessionExpiry? = nil, durability: Durability? = nil
    ) async throws -> Session {
        try await store.onWorker { try self.create(user: user, data: data, expiry: expiry, durability: durability) }
    }

    /// See the synchronous `end`.
    @discardableResult
    public func end(_ id: SessionID, durability: Durability? = nil) async throws -> Bool {
        try await store.onWorker { try self.end(id, durability: durability) }
    }

    /// See the synchronous `endAll`.
    @discardableResult
    public func endAll(of user: String, durability: Durability? = nil) async throws -> Int {
        try await store.onWorker { try self.endAll(of: user, durability: durability) }
    }

    /// See the synchronous `load`.
    public func load(_ id: SessionID, touching: Bool = false) async throws -> Session? {
        try await store.onWorker { try self.load(id, touching: touching) }
    }

    /// See the synchronous `load(_:in:)`.
    public func load(_ id: SessionID, in snapshot: StoreSnapshot) async throws -> Session? {
        try await store.onWorker { try self.load(id, in: snapshot) }
    }

    /// See the synchronous `touch`.
    @discardableResult
    public func touch(_ id: SessionID, durability: Durability = .relaxed) async throws -> Bool {
        try await store.onWorker { try self.touch(id, durability: durability) }
    }

    /// See the synchronous `update`.
    @discardableResult
    public func update(_ id: SessionID, data: [UInt8], durability: Durability? = nil) async throws -> Bool {
        try await store.onWorker { try self.update(id, data: data, durability: durability) }
    }

    /// See the synchronous `assign`.
    @discardableResult
    public func assign(_ id: SessionID, to user: String, durability: Durability? = nil) async throws -> Bool {
        try await store.onWorker { try self.assign(id, to: user, durability: durability) }
    }

    /// See the synchronous `list`.
    public func list(of user: String, in snapshot: StoreSnapshot? = nil) async throws -> [Session] {
        try await store.onWorker {
            guard let snapshot else { return try self.list(of: user) }
            return try self.list(of: user, in: snapshot)
        }
    }

    /// See the synchronous `recent`.
    public func recent(limit: Int, in snapshot: StoreSnapshot? = nil) async throws -> [Session] {
        try await store.onWorker {
            guard let snapshot else { return try self.recent(limit: limit) }
            return try self.recent(limit: limit, in: snapshot)
        }
    }

    /// See the synchronous `cache`.
    @discardableResult
    public func cache(
        _ value: [UInt8], as key: String, for id: SessionID, lifetime: Duration, durability: Durability = .relaxed
    ) async throws -> Bool {
        try await store.onWorker {
            try self.cache(value, as: key, for: id, lifetime: lifetime, durability: durability)
        }
    }

    /// See the synchronous `cached`.
    public func cached(_ key: String, for id: SessionID, in snapshot: StoreSnapshot? = nil) async throws -> [UInt8]? {
        try await store.onWorker {
            guard let snapshot else { return try self.cached(key, for: id) }
            return try self.cached(key, for: id, in: snapshot)
        }
    }

    /// See the synchronous `removeCached`.
    public func removeCached(_ key: String, for id: SessionID, durability: Durability = .relaxed) async throws {
        try await store.onWorker { try self.removeCached(key, for: id, durability: durability) }
    }

    /// See the synchronous `setPreference`.
    public func setPreference(
        _ key: String, to value: [UInt8], of user: String, durability: Durability? = nil
    ) async throws {
        try await store.onWorker { try self.setPreference(key, to: value, of: user, durability: durability) }
    }

    /// See the synchronous `preference`.
    public func preference(_ key: String, of user: String, in snapshot: StoreSnapshot? = nil) async throws -> [UInt8]? {
        try await store.onWorker {
            guard let snapshot else { return try self.preference(key, of: user) }
            return try self.preference(key, of: user, in: snapshot)
        }
    }

    /// See the synchronous `preferences`.
    public func preferences(of user: String, in snapshot: StoreSnapshot? = nil) async throws -> [String: [UInt8]] {
        try await store.onWorker {
            guard let snapshot else { return try self.preferences(of: user) }
            return try self.preferences(of: user, in: snapshot)
        }
    }

    /// See the synchronous `removePreference`.
    public func removePreference(_ key: String, of user: String, durability: Durability? = nil) async throws {
        try await store.onWorker { try self.removePreference(key, of: user, durability: durability) }
    }
}
