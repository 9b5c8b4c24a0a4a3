// The keys and values of a collection of sessions.
//
//   keyspace session:<name>                                                                     — FORMAT.md §8.3
//     01 │ id: 16 bytes                             its record
//     02 │ id                                       its activity: touched at: u64
//     03 │ user, as a tuple │ id                    empty: the sessions of a user
//     04 │ period, descending: u64 │ id             empty: the sessions by when they were last touched
//     05 │ id │ key                                 an entry of the session's cache
//     06 │ (user, key) as a tuple                   a preference
//   record:  version: u8 = 1 │ created at: u64 │ idle: u64 │ ends at: u64 │ kept until: u64
//            │ user length: varint │ user │ data
//
// A touch writes the activity and the entry by last use, 50 bytes together, and not the record: what a session holds may
// be large. The activity carries the expiry, so a session is there as long as both its record and its activity are. The
// record expires too, but later: it is written to last one idle time longer than it needs to, so it is written again
// about once in an idle time, not at each touch.

import Apus

/// The first byte of the keys. On disk: never renumber, never reuse.
enum SessionTag {
    static let record: UInt8 = 1
    static let activity: UInt8 = 2
    static let user: UInt8 = 3
    static let recency: UInt8 = 4
    static let cache: UInt8 = 5
    static let preference: UInt8 = 6
}

enum SessionKey {
    static func record(_ id: SessionID) -> [UInt8] { key(SessionTag.record, id) }
    static func activity(_ id: SessionID) -> [UInt8] { key(SessionTag.activity, id) }
    static func cache(_ id: SessionID) -> [UInt8] { key(SessionTag.cache, id) }

    // The same for what is read and written with every request.
    static func shortRecord(_ id: SessionID) -> SmallBytes { SmallBytes(tag: SessionTag.record, id.high, id.low) }
    static func shortActivity(_ id: SessionID) -> SmallBytes { SmallBytes(tag: SessionTag.activity, id.high, id.low) }
    static func shortRecency(_ time: UInt64, _ id: SessionID) -> SmallBytes {
        SmallBytes(tag: SessionTag.recency, ~period(of: time), id.high, id.low)
    }

    static func users(_ user: String) -> [UInt8] { [SessionTag.user] + KeyCoder.encode(.string(user)) }

    static func user(_ user: String, _ id: SessionID) -> [UInt8] { appending(id, to: users(user)) }

    /// Later periods come first.
    static func recency(_ time: UInt64, _ id: SessionID) -> [UInt8] {
        var key = [SessionTag.recency]
        key.appendBigEndian(~period(of: time))
        return appending(id, to: key)
    }

    static func preferences(_ user: String) -> [UInt8] { [SessionTag.preference] + KeyCoder.encode(.string(user)) }

    static func preference(_ user: String, _ key: String) -> [UInt8] {
        [SessionTag.preference] + KeyCoder.encode(.string(user), .string(key))
    }

    /// Sessions are kept in the order of their last touch to about a minute, so that most touches leave it alone; the
    /// activities tell the rest.
    static func period(of time: UInt64) -> UInt64 { time >> 16 }

    /// Period and session of such a key; nil if it is none.
    static func recency(_ key: UnsafeRawBufferPointer) -> (period: UInt64, id: SessionID)? {
        guard key.count == 9 + SessionID.byteCount, let id = id(atEndOf: key) else { return nil }
        return (~UInt64(bigEndian: key.loadUnaligned(fromByteOffset: 1, as: UInt64.self)), id)
    }

    /// The session that the last bytes of a key name; nil if there are fewer.
    static func id(atEndOf key: UnsafeRawBufferPointer) -> SessionID? {
        guard key.count > SessionID.byteCount else { return nil }
        return SessionID(UnsafeRawBufferPointer(rebasing: key[(key.count - SessionID.byteCount)...]))
    }

    private static func key(_ tag: UInt8, _ id: SessionID) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 1 + SessionID.byteCount) { buffer, count in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            bytes[0] = tag
            bytes.storeBytes(of: id.high.bigEndian, toByteOffset: 1, as: UInt64.self)
            bytes.storeBytes(of: id.low.bigEndian, toByteOffset: 9, as: UInt64.self)
            count = bytes.count
        }
    }

    private static func appending(_ id: SessionID, to key: [UInt8]) -> [UInt8] {
        var key = key
        key.appendBigEndian(id.high)
        key.appendBigEndian(id.low)
        return key
    }
}

struct SessionRecord: Sendable, Equatable {
    var created: UInt64
    /// Milliseconds without a touch after which the session ends; 0: it does not for that.
    var idle: UInt64
    /// When the session ends at the latest; 0: never.
    var end: UInt64
    /// When the record itself expires; 0: never. Never before the session.
    var keptUntil: UInt64
    var user: String
    var data: [UInt8]

    private static let version: UInt8 = 1

    init(created: UInt64, idle: UInt64, end: UInt64, user: String, data: [UInt8]) {
        self.created = created
        self.idle = idle
        self.end = end
        self.user = user
        self.data = data
        keptUntil = 0
    }

    /// nil if the bytes are no record.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var reader = StoreByteReader(bytes)
        guard reader.byte() == Self.version, let created = reader.littleEndian(UInt64.self),
            let idle = reader.littleEndian(UInt64.self), let end = reader.littleEndian(UInt64.self),
            let keptUntil = reader.littleEndian(UInt64.self),
            let user = reader.varint().flatMap({ Int(exactly: $0) }).flatMap({ reader.slice($0) }),
            let data = reader.bytes(reader.remainingByteCount)
        else { return nil }
        self.created = created
        self.idle = idle
        self.end = end
        self.keptUntil = keptUntil
        self.user = String(decoding: user, as: UTF8.self)
        self.data = data
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(48 + user.utf8.count + data.count)
        bytes.append(Self.version)
        bytes.appendLittleEndian(created)
        bytes.appendLittleEndian(idle)
        bytes.appendLittleEndian(end)
        bytes.appendLittleEndian(keptUntil)
        bytes.appendVarint(UInt64(user.utf8.count))
        bytes.append(contentsOf: user.utf8)
        bytes.append(contentsOf: data)
        return bytes
    }

    /// When a session ends that is touched at `time`, and not again; 0: never.
    func expiry(touchedAt time: UInt64) -> UInt64 {
        Self.earlier(idle == 0 ? 0 : Self.sum(time, idle), end)
    }

    /// What `keptUntil` becomes when the record is written at `time`: an idle time more than it needs to be.
    func retention(writtenAt time: UInt64) -> UInt64 {
        Self.earlier(idle == 0 ? 0 : Self.sum(Self.sum(time, idle), idle), end)
    }

    /// When something expires that would do so at `time`, but not later than the session may last.
    func expiry(at time: UInt64) -> UInt64 { Self.earlier(time, end) }

    /// Whether the session cannot have expired by `time`, whenever it was last touched: what wrote the record was a touch
    /// too. A minute is left for touches that were written later than they were made.
    func isAlive(at time: UInt64) -> Bool {
        if keptUntil == 0 { return true }
        return Self.sum(Self.sum(time, idle), 60_000) < keptUntil
    }

    private static func earlier(_ a: UInt64, _ b: UInt64) -> UInt64 {
        if a == 0 { return b }
        return b == 0 ? a : min(a, b)
    }

    private static func sum(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let (sum, overflow) = a.addingReportingOverflow(b)
        return overflow ? .max : sum
    }
}

extension Expiry {
    /// From a time that is 0 for never.
    static func orNever(_ milliseconds: UInt64) -> Expiry {
        milliseconds == 0 ? .never : .at(milliseconds: milliseconds)
    }
}
