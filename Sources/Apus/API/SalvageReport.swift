// What `Database.salvage` recovered and what it could not.

/// The result of salvaging a database.
///
/// What is listed in `losses` is gone. Beware of what that means for the rest: where the newest version of a key, or its
/// deletion, is among what was lost, an older version of the key that was recovered is visible again.
public struct SalvageReport: Sendable {
    /// Something that could not be read.
    public struct Loss: Sendable, Equatable {
        public var file: String
        /// Where in the file.
        public var offset: UInt64
        /// How much of the file; nil if nobody can tell.
        public var byteCount: UInt64?
        public var what: String
        /// The keyspace that the bytes belonged to, if that is known.
        public var keyspace: String?
        /// Every entry lost here has a key from this one, as far as the neighbours tell; nil: from the first.
        public var lowerKey: [UInt8]?
        /// Every entry lost here has a key up to this one, itself included; nil: to the last.
        public var upperKey: [UInt8]?
    }

    /// What was recovered of a keyspace.
    public struct Keyspace: Sendable, Equatable {
        public var name: String
        /// Entries: every version of every key, and deletions.
        public var entries: UInt64 = 0
        public var rangeDeletions: UInt64 = 0
    }

    /// By name.
    public var keyspaces: [Keyspace] = []
    /// In the order in which they were found.
    public var losses: [Loss] = []
    /// Losses beyond those listed: the list has an end, so that a report always fits memory.
    public var omittedLosses: UInt64 = 0

    /// True if nothing was found damaged.
    public var isComplete: Bool { losses.isEmpty }
}
