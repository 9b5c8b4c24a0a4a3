// A session as callers see it, and when it ends.

/// When sessions end. At least one of the two should be given: without them sessions live until they are ended.
public struct SessionExpiry: Sendable, Hashable {
    /// This long after the session was last touched: sliding expiry.
    public var idle: Duration?
    /// This long after the session was created, however busy it is: absolute expiry.
    public var absolute: Duration?

    public init(idle: Duration? = .seconds(1800), absolute: Duration? = nil) {
        self.idle = idle
        self.absolute = absolute
    }
}

/// A session that has not expired. Times are milliseconds since 1970-01-01 UTC.
public struct Session: Sendable, Hashable {
    public let id: SessionID
    /// Whose it is; empty if nobody's yet.
    public let user: String
    public let created: UInt64
    /// When it was last touched.
    public internal(set) var lastActive: UInt64
    /// Invisible from this time on, unless it is touched before; nil if it does not expire.
    public internal(set) var expires: UInt64?
    /// What the application keeps in it.
    public internal(set) var data: [UInt8]
}
