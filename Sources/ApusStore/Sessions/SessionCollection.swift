// A collection of sessions: creating, loading, touching, ending. Lists are in SessionCollection+Lists.swift, caches and
// preferences in SessionCollection+Cache.swift.

public import Apus
import ApusIO

/// Sessions of users, which end when they are idle for too long or too old: invisible at once, reclaimed later.
///
/// ```swift
/// let sessions = try store.sessions("web")
/// let session = try sessions.create(user: "ada", data: cart)
/// if let session = try sessions.load(id, touching: true) { … }
/// ```
/// What is written with `Durability.relaxed` survives the end of the process; what is written durably survives power
/// loss. Time is that of the database's clock.
public final class SessionCollection: StoreCollection, Sendable {
    public let store: Store
    /// Without the kind.
    public var name: String { collectionName.name }
    /// When sessions end that are created without saying so.
    public let expiry: SessionExpiry
    /// A session that was touched less than this long ago is not touched again.
    public let resolution: Duration

    let collectionName: CollectionName
    let entries: Keyspace
    private let resolutionMilliseconds: UInt64

    var definition: [UInt8] { [] }
    static let format = 1

    init(_ name: CollectionName, expiry: SessionExpiry, resolution: Duration, in store: Store) throws(ApusError) {
        self.store = store
        self.expiry = expiry
        self.resolution = resolution
        resolutionMilliseconds = resolution.countedMilliseconds
        collectionName = name
        entries = try store.keyspace(name.description, KeyspaceOptions())
    }

    // MARK: Beginning and ending

    /// Begins a session.
    ///
    /// - Parameters:
    ///   - user: whose it is; empty if nobody's yet.
    ///   - data: what the application keeps in it.
    ///   - expiry: when it ends; as the collection says by default.
    ///   - durability: when the call returns; the database's default if nil.
    public func create(
        user: String = "", data: [UInt8] = [], expiry: SessionExpiry? = nil, durability: Durability? = nil
    ) throws -> Session {
        try store.transaction(durability: durability) {
            try create(user: user, data: data, expiry: expiry, in: $0)
        }
    }

    /// Begins a session, in the commit of `transaction`.
    public func create(
        user: String = "", data: [UInt8] = [], expiry: SessionExpiry? = nil, in transaction: StoreTransaction
    ) throws -> Session {
        let expiry = expiry ?? self.expiry
        for duration in [expiry.idle, expiry.absolute] where duration.map({ $0 <= .zero }) == true {
            throw StoreError(
                .invalidArgument, "a session must last longer than no time at all",
                collection: collectionName.description)
        }
        let id = SessionID(store.database.environment.random)
        let now = transaction.time
        let end = expiry.absolute.map { now + $0.countedMilliseconds } ?? 0
        let record = SessionRecord(
            created: now, idle: expiry.idle?.countedMilliseconds ?? 0, end: end, user: user, data: data)
        write(record, of: id, at: now, in: transaction)
        let expires = record.expiry(touchedAt: now)
        writeActivity(of: id, at: now, expires: expires, in: transaction)
        transaction.put(
            SessionKey.recency(now, id), [UInt8](), in: entries, expiry: .orNever(expires))
        return session(id, record, lastActive: now)
    }

    /// Ends a session at once; false if there was none.
    @discardableResult
    public func end(_ id: SessionID, durability: Durability? = nil) throws -> Bool {
        try store.transaction(durability: durability) { try end(id, in: $0) }
    }

    /// Ends a session in the commit of `transaction`; false if there was none.
    @discardableResult
    public func end(_ id: SessionID, in transaction: StoreTransaction) throws -> Bool {
        guard let record = try record(of: id, in: transaction) else { return false }
        let lastActive = try activity(of: id, in: transaction)
        transaction.delete(SessionKey.record(id), in: entries)
        transaction.delete(SessionKey.activity(id), in: entries)
        transaction.delete(SessionKey.user(record.user, id), in: entries)
        if let lastActive { transaction.delete(SessionKey.recency(lastActive, id), in: entries) }
        let cache = KeyRange.prefix(SessionKey.cache(id))
        if let lower = cache.lower, let upper = cache.upper {
            transaction.deleteRange(from: lower, to: upper, in: entries)
        }
        return lastActive != nil
    }

    /// Ends all sessions of a user, and returns how many there were.
    @discardableResult
    public func endAll(of user: String, durability: Durability? = nil) throws -> Int {
        try store.transaction(durability: durability) { try endAll(of: user, in: $0) }
    }

    /// Ends all sessions of a user in the commit of `transaction`, and returns how many there were.
    @discardableResult
    public func endAll(of user: String, in transaction: StoreTransaction) throws -> Int {
        try list(of: user, in: transaction).reduce(0) { count, session in
            try end(session.id, in: transaction) ? count + 1 : count
        }
    }

    // MARK: Using

    /// The session; nil if there is none, or it has expired.
    ///
    /// - Parameters:
    ///   - touching: begins its idle time anew, without waiting for the disk: see `touch`.
    public func load(_ id: SessionID, touching: Bool = false) throws -> Session? {
        try load(id, in: store) { try touching ? touched(id, $0, $1, .relaxed) : $1 }
    }

    /// The session as `reader` sees it; nil if there is none, or it has expired by then.
    public func load(_ id: SessionID, in reader: some StoreReader) throws -> Session? {
        try load(id, in: reader) { _, lastActive in lastActive }
    }

    /// Begins the session's idle time anew; false if there is none, or it has expired.
    ///
    /// - Parameter durability: relaxed by default: a touch that a power loss takes back shortens a session, no more.
    @discardableResult
    public func touch(_ id: SessionID, durability: Durability = .relaxed) throws -> Bool {
        try load(id, in: store) { try touched(id, $0, $1, durability) } != nil
    }

    /// Begins the session's idle time anew in the commit of `transaction`; false if there is none, or it has expired.
    @discardableResult
    public func touch(_ id: SessionID, in transaction: StoreTransaction) throws -> Bool {
        try load(id, in: transaction) { record, lastActive in
            write(touchOf: id, record, lastActive, in: transaction)
            return lastActive
        } != nil
    }

    /// Replaces what the application keeps in the session, which counts as a touch; false if there is no such session, or
    /// it has expired.
    @discardableResult
    public func update(_ id: SessionID, data: [UInt8], durability: Durability? = nil) throws -> Bool {
        try store.transaction(durability: durability) { try update(id, data: data, in: $0) }
    }

    /// Replaces what the application keeps in the session, in the commit of `transaction`. See `update(_:data:)`.
    @discardableResult
    public func update(_ id: SessionID, data: [UInt8], in transaction: StoreTransaction) throws -> Bool {
        guard let lastActive = try activity(of: id, in: transaction),
            var record = try record(of: id, in: transaction)
        else { return false }
        record.data = data
        write(record, of: id, at: transaction.time, in: transaction)
        writeTouch(of: id, record, lastActive, in: transaction)
        return true
    }

    /// Makes the session one of `user`, as when somebody logs in, which counts as a touch; false if there is no such
    /// session, or it has expired.
    @discardableResult
    public func assign(_ id: SessionID, to user: String, durability: Durability? = nil) throws -> Bool {
        try store.transaction(durability: durability) { try assign(id, to: user, in: $0) }
    }

    /// Makes the session one of `user`, in the commit of `transaction`. See `assign(_:to:durability:)`.
    @discardableResult
    public func assign(_ id: SessionID, to user: String, in transaction: StoreTransaction) throws -> Bool {
        guard let lastActive = try activity(of: id, in: transaction),
            var record = try record(of: id, in: transaction)
        else { return false }
        transaction.delete(SessionKey.user(record.user, id), in: entries)
        record.user = user
        write(record, of: id, at: transaction.time, in: transaction)
        writeTouch(of: id, record, lastActive, in: transaction)
        return true
    }

    // MARK: For the other parts

    /// When the session was last touched; nil if it has expired, or never was.
    func activity(of id: SessionID, in reader: some StoreReader) throws -> UInt64? {
        let found = try reader.withValue(for: SessionKey.shortActivity(id), in: entries) { value -> UInt64? in
            value.withBytes { bytes in
                var reader = StoreByteReader(bytes)
                let time = reader.littleEndian(UInt64.self)
                return reader.isAtEnd ? time : nil
            }
        }
        guard let found else { return nil }
        guard let found else { throw damaged(id, "its activity is damaged") }
        return found
    }

    func record(of id: SessionID, in reader: some StoreReader) throws -> SessionRecord? {
        try reader.withValue(for: SessionKey.shortRecord(id), in: entries) { value in
            guard let record = value.withBytes({ SessionRecord($0) }) else {
                throw damaged(id, "its record is damaged")
            }
            return record
        }
    }

    /// - Parameter noting: what becomes of the time of the last touch.
    private func load(
        _ id: SessionID, in reader: some StoreReader, noting: (SessionRecord, UInt64) throws -> UInt64
    ) throws -> Session? {
        guard let lastActive = try activity(of: id, in: reader), let record = try record(of: id, in: reader) else {
            return nil
        }
        return session(id, record, lastActive: try noting(record, lastActive))
    }

    private func session(_ id: SessionID, _ record: SessionRecord, lastActive: UInt64) -> Session {
        let expires = record.expiry(touchedAt: lastActive)
        return Session(
            id: id, user: record.user, created: record.created, lastActive: lastActive,
            expires: expires == 0 ? nil : expires, data: record.data)
    }

    // MARK: Touching

    /// Touches a session that has just been read, and returns when it is now last touched.
    ///
    /// No transaction is needed: of two touches at once either may win, and one that comes after the session's end
    /// leaves an activity without a record, which is no session and expires. Each writes the entry that its activity has
    /// among the sessions by their last use; an entry that its session has left is passed over.
    private func touched(
        _ id: SessionID, _ record: SessionRecord, _ lastActive: UInt64, _ durability: Durability
    ) throws -> UInt64 {
        let now = store.time
        guard now >= lastActive, now - lastActive >= resolutionMilliseconds else { return lastActive }
        let expires = record.expiry(touchedAt: now)
        if record.keptUntil < expires || expires == 0 {
            return try store.transaction(durability: durability) { transaction in
                guard let lastActive = try activity(of: id, in: transaction),
                    let record = try self.record(of: id, in: transaction)
                else { return lastActive }
                write(touchOf: id, record, lastActive, in: transaction)
                return transaction.time
            }
        }
        try store.database.write(durability) { batch in
            batch.put(
                SessionKey.shortActivity(id), SmallBytes(littleEndian: now), in: entries, expiry: .orNever(expires))
            // Even where it is there already: another touch may be about to take it away.
            batch.put(SessionKey.shortRecency(now, id), SmallBytes(), in: entries, expiry: .orNever(expires))
            if SessionKey.period(of: now) != SessionKey.period(of: lastActive) {
                batch.delete(SessionKey.shortRecency(lastActive, id), in: entries)
            }
        }
        return now
    }

    /// Touches a session in a transaction; its record too, if that would expire too early otherwise.
    private func write(
        touchOf id: SessionID, _ record: SessionRecord, _ lastActive: UInt64, in transaction: StoreTransaction
    ) {
        if record.keptUntil < record.expiry(touchedAt: transaction.time) {
            write(record, of: id, at: transaction.time, in: transaction)
        }
        writeTouch(of: id, record, lastActive, in: transaction)
    }

    private func writeTouch(
        of id: SessionID, _ record: SessionRecord, _ lastActive: UInt64, in transaction: StoreTransaction
    ) {
        let now = transaction.time
        let expires = record.expiry(touchedAt: now)
        writeActivity(of: id, at: now, expires: expires, in: transaction)
        if SessionKey.period(of: now) != SessionKey.period(of: lastActive) {
            transaction.delete(SessionKey.recency(lastActive, id), in: entries)
        }
        transaction.put(
            SessionKey.recency(now, id), [UInt8](), in: entries, expiry: .orNever(expires))
    }

    private func writeActivity(
        of id: SessionID, at time: UInt64, expires: UInt64, in transaction: StoreTransaction
    ) {
        var value: [UInt8] = []
        value.appendLittleEndian(time)
        transaction.put(SessionKey.activity(id), value, in: entries, expiry: .orNever(expires))
    }

    /// Writes the record, and the entry that finds it by its user, to last an idle time longer than they need to.
    private func write(
        _ record: SessionRecord, of id: SessionID, at time: UInt64, in transaction: StoreTransaction
    ) {
        var record = record
        record.keptUntil = record.retention(writtenAt: time)
        let expiry = Expiry.orNever(record.keptUntil)
        transaction.put(SessionKey.record(id), record.encoded, in: entries, expiry: expiry)
        transaction.put(SessionKey.user(record.user, id), [UInt8](), in: entries, expiry: expiry)
    }

    func damaged(_ id: SessionID, _ message: String) -> StoreError {
        StoreError(.corruption, message, collection: collectionName.description, key: id.description)
    }
}
