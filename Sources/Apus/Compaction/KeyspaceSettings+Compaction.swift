// What a keyspace's settings mean for compaction.

extension LevelPolicy {
    /// The default sizes with what the settings ask for.
    init(_ settings: KeyspaceSettings) {
        self.init()
        rewritesIntoLastLevel = settings.bottomCodec != settings.codec
        // Where everything expires, waiting a quarter of its life wastes little space and few rewrites.
        if settings.timeToLive > 0 { expiryPatience = min(expiryPatience, max(settings.timeToLive / 4, 60_000)) }
    }
}

extension TableWriterOptions {
    /// How tables of `level` are written.
    init(_ settings: KeyspaceSettings, level: Int) {
        self.init()
        codec = level == VersionEdit.levelCount - 1 ? settings.bottomCodec : settings.codec
        filterBitsPerKey = Int(settings.filterBitsPerKey)
    }
}

extension RetentionPicker {
    /// nil if the keyspace has levels.
    init?(_ settings: KeyspaceSettings) {
        guard case .fifo(let maximumByteCount, let maximumAge) = settings.style else { return nil }
        self.init(maximumByteCount: maximumByteCount, maximumAge: maximumAge)
    }
}
