// Stand-ins for what the table part brings.

enum Codec: UInt8, Sendable { case none = 0, lz4 = 1, zstd = 2 }

final class Table: Sendable {
    let metadata: TableMetadata
    init(_ metadata: TableMetadata) { self.metadata = metadata }
}
