// What goes with a session for a while, and what stays with a user: the session's cache, whose entries expire on their
// own and end with the session at the latest, and preferences, which last.

public import Apus

extension SessionCollection {
    // MARK: The cache of a session

    /// Keeps a value with a session for a while; false if there is no such session.
    ///
    /// - Parameters:
    ///   - key: 1 byte to 32 KiB of UTF-8.
    ///   - lifetime: the value is invisible after it; and as soon as the session ends.
    ///   - durability: relaxed by default: what is in a cache can be made again.
    @discardableResult
    public func cache(
        _ value: [UInt8], as key: String, for id: SessionID, lifetime: Duration, durability: Durability = .relaxed
    ) throws -> Bool {
        try store.transaction(durability: durability) { transaction in
            try cache(value, as: key, for: id, lifetime: lifetime, in: transaction)
        }
    }

    /// Keeps a value with a session for a while, in the commit of `transaction`; false if there is no such session.
    @discardableResult
    public func cache(
        _ value: [UInt8], as key: String, for id: SessionID, lifetime: Duration, in transaction: StoreTransaction
    ) throws -> Bool {
        guard lifetime > .zero else {
            throw StoreError(
                .invalidArgument, "a cached value must last longer than no time at all",
                collection: collectionName.description, key: key)
        }
        let cacheKey = try cacheKey(id, key)
        // The record is read, so that the end of the session at the same moment is a conflict.
        guard try activity(of: id, in: transaction) != nil, let record = try record(of: id, in: transaction) else {
            return false
        }
        let expires = record.expiry(at: transaction.time + lifetime.countedMilliseconds)
        transaction.put(cacheKey, value, in: entries, expiry: .at(milliseconds: expires))
        return true
    }

    /// The value that a session keeps; nil if there is none, it has expired, or the session has.
    public func cached(_ key: String, for id: SessionID) throws -> [UInt8]? {
        try cached(key, for: id, in: store)
    }

    /// The value that a session keeps, as `reader` sees it. See `cached(_:for:)`.
    public func cached(_ key: String, for id: SessionID, in reader: some StoreReader) throws -> [UInt8]? {
        guard try activity(of: id, in: reader) != nil, let value = try reader.get(cacheKey(id, key), in: entries)
        else { return nil }
        return value
    }

    /// Drops the value that a session keeps; nothing happens if there is none.
    public func removeCached(_ key: String, for id: SessionID, durability: Durability = .relaxed) throws {
        try entries.delete(cacheKey(id, key), durability: durability)
    }

    /// Drops the value that a session keeps, in the commit of `transaction`.
    public func removeCached(_ key: String, for id: SessionID, in transaction: StoreTransaction) throws {
        transaction.delete(try cacheKey(id, key), in: entries)
    }

    private func cacheKey(_ id: SessionID, _ key: String) throws(StoreError) -> [UInt8] {
        try check(key)
        return SessionKey.cache(id) + Array(key.utf8)
    }

    // MARK: Preferences

    /// Keeps a preference of a user, which lasts until it is changed or removed, whatever becomes of sessions.
    ///
    /// - Parameter key: 1 byte to 32 KiB of UTF-8.
    public func setPreference(
        _ key: String, to value: [UInt8], of user: String, durability: Durability? = nil
    ) throws {
        try entries.put(preferenceKey(user, key), value, expiry: .never, durability: durability)
    }

    /// Keeps a preference of a user, in the commit of `transaction`.
    public func setPreference(
        _ key: String, to value: [UInt8], of user: String, in transaction: StoreTransaction
    ) throws {
        transaction.put(try preferenceKey(user, key), value, in: entries, expiry: .never)
    }

    /// A preference of a user; nil if there is none.
    public func preference(_ key: String, of user: String) throws -> [UInt8]? {
        try preference(key, of: user, in: store)
    }

    /// A preference of a user, as `reader` sees it; nil if there is none.
    public func preference(_ key: String, of user: String, in reader: some StoreReader) throws -> [UInt8]? {
        try reader.get(preferenceKey(user, key), in: entries)
    }

    /// All preferences of a user, by their keys.
    public func preferences(of user: String) throws -> [String: [UInt8]] {
        try preferences(of: user, in: store)
    }

    /// All preferences of a user, as `reader` sees them.
    public func preferences(of user: String, in reader: some StoreReader) throws -> [String: [UInt8]] {
        var preferences: [String: [UInt8]] = [:]
        try reader.scan(.prefix(SessionKey.preferences(user)), in: entries) { key, value in
            guard
                let elements = try? key.withBytes({ try KeyCoder.decode(UnsafeRawBufferPointer(rebasing: $0[1...])) }),
                elements.count == 2,
                case .string(let name) = elements[1]
            else {
                throw StoreError(
                    .corruption, "the key of a preference is damaged", collection: collectionName.description, key: user
                )
            }
            preferences[name] = value.withBytes { [UInt8]($0) }
            return .next
        }
        return preferences
    }

    /// Removes a preference of a user; nothing happens if there is none.
    public func removePreference(_ key: String, of user: String, durability: Durability? = nil) throws {
        try entries.delete(preferenceKey(user, key), durability: durability)
    }

    /// Removes a preference of a user, in the commit of `transaction`.
    public func removePreference(_ key: String, of user: String, in transaction: StoreTransaction) throws {
        transaction.delete(try preferenceKey(user, key), in: entries)
    }

    private func preferenceKey(_ user: String, _ key: String) throws(StoreError) -> [UInt8] {
        try check(key)
        return SessionKey.preference(user, key)
    }

    private func check(_ key: String) throws(StoreError) {
        guard (1...Self.longestKey).contains(key.utf8.count) else {
            throw StoreError(
                .invalidArgument, "a key has 1 to \(Self.longestKey) bytes, not \(key.utf8.count)",
                collection: collectionName.description)
        }
    }

    private static let longestKey = 32 << 10
}
