// What a keyspace's settings mean for compaction.

extension LevelPolicy {
    /// These sizes with what the settings ask for.
    func adjusted(to settings: KeyspaceSettings) -> LevelPolicy {
        var policy = self
        policy.rewritesIntoLastLevel = settings.bottomCodec != settings.codec
        // Where everything expires, waiting a quarter of its life wastes little space and few rewrites.
        if settings.timeToLive > 0 {
            policy.expiryPatience = min(expiryPatience, max(settings.timeToLive / 4, 60_000))
        }
        return policy
    }
}

extension RetentionPicker {
    /// nil if the keyspace has levels.
    init?(_ settings: KeyspaceSettings) {
        guard case .fifo(let maximumByteCount, let maximumAge) = settings.style else { return nil }
        self.init(maximumByteCount: maximumByteCount, maximumAge: maximumAge)
    }
}
