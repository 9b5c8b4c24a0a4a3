// How large the data are, as written on the command line: bytes of a value, or `bytes@entries` for another number of
// entries than `--entries` says.

struct DataSize: Hashable, Codable, Sendable {
    var valueByteCount: Int
    var entries: Int?

    static let valueRange = 1...16 << 20
    static let entryRange = 1...1_000_000_000

    init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard let bytes = Int(parts[0]), Self.valueRange.contains(bytes) else { return nil }
        valueByteCount = bytes
        if parts.count == 2 {
            guard let entries = Int(parts[1]), Self.entryRange.contains(entries) else { return nil }
            self.entries = entries
        }
    }
}
