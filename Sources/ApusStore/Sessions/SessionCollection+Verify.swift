// Verifying a collection of sessions: every entry can be read, and whatever is there of a session can be found in every
// way that there is to find it.

import Apus

extension SessionCollection: VerifiableCollection {
    static func open(_ name: CollectionName, _ record: CollectionRecord, in store: Store) throws -> Self {
        try check(record, of: name)
        return try Self(name, expiry: SessionExpiry(), resolution: .zero, in: store)
    }

    func verify(in snapshot: StoreSnapshot, report: inout StoreVerification) throws {
        try snapshot.scan(in: entries) { key, value in
            report.checks += 1
            try key.withBytes { key in
                try value.withBytes { value in
                    if let (problem, text) = try problem(key, value, snapshot) {
                        report.report(collectionName, key: problem, text)
                    }
                }
            }
            return .next
        }
    }

    /// What is wrong with an entry, and with which; nil if nothing is.
    private func problem(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ snapshot: StoreSnapshot
    ) throws -> (key: String, text: String)? {
        let id = SessionKey.id(atEndOf: key)
        let label = id?.description ?? ""
        switch key[0] {
        case SessionTag.record:
            guard let id, key.count == 17, let record = SessionRecord(value) else {
                return (label, "its record is damaged")
            }
            if try !snapshot.contains(SessionKey.user(record.user, id), in: entries) {
                return (label, "is missing among the sessions of its user")
            }
            guard let lastActive = try activity(of: id, in: snapshot) else {
                return record.isAlive(at: snapshot.time) ? (label, "its activity is missing") : nil
            }
            let expires = record.expiry(touchedAt: lastActive)
            if record.keptUntil < expires { return (label, "its record expires before it does") }
            if try !snapshot.contains(SessionKey.recency(lastActive, id), in: entries) {
                return (label, "is missing among the sessions by their last use")
            }
        case SessionTag.activity:
            if key.count != 17 || value.count != 8 { return (label, "its activity is damaged") }
        case SessionTag.user:
            guard let id, key.count > 17, let record = try? self.record(of: id, in: snapshot),
                SessionKey.user(record.user, id).elementsEqual(key)
            else { return (label, "is among the sessions of a user who does not have it") }
        case SessionTag.recency:
            if SessionKey.recency(key) == nil { return (label, "its entry by its last use is damaged") }
        case SessionTag.cache:
            if key.count <= 17 { return ("", "an entry of a cache has no key") }
        case SessionTag.preference:
            let elements = try? KeyCoder.decode(UnsafeRawBufferPointer(rebasing: key[1...]))
            if elements?.count != 2 { return ("", "the key of a preference is damaged") }
        default:
            return ("", "an entry of an unknown kind, \(key[0])")
        }
        return nil
    }

    static func check(_ record: CollectionRecord, of name: CollectionName) throws(StoreError) {
        if record.format != format {
            throw StoreError(
                .unsupportedFormat, "has format \(record.format), not \(format)", collection: name.description)
        }
    }
}

extension Store {
    /// The collection of sessions of that name, created on first use.
    ///
    /// - Parameters:
    ///   - name: 1 to 200 bytes without a colon.
    ///   - expiry: when sessions end that are created without saying so. Of two callers that use the collection at the
    ///     same time the first decides, here and for `resolution`.
    ///   - resolution: a session that was touched less than this long ago is not touched again, and may end that much
    ///     earlier.
    public func sessions(
        _ name: String = "sessions", expiry: SessionExpiry = SessionExpiry(), resolution: Duration = .seconds(1)
    ) throws -> SessionCollection {
        try collection(.sessions, name, definition: []) { record in
            let name = try CollectionName(.sessions, name)
            if let record {
                try SessionCollection.check(record, of: name)
            } else {
                try transaction { transaction in
                    try catalogue.put(
                        CollectionRecord(format: SessionCollection.format), of: name, in: transaction)
                }
            }
            return try SessionCollection(name, expiry: expiry, resolution: resolution, in: self)
        }
    }
}
