// What a salvage knows of a table before it reads its entries, and the order in which tables are read.

import ApusIO

/// A table to be salvaged.
struct SalvageTable {
    var number: FileNumber
    /// From the properties; nil if these cannot be read and the manifest says nothing either.
    var metadata: TableMetadata?
    /// 0 if that is not told.
    var keyspace: UInt32
    var rangeDeletions: [RangeDeletion]

    /// Reads what the table says of itself. Without a footer that takes a walk through the whole file.
    static func read(
        _ number: FileNumber,
        known: TableMetadata? = nil,
        in directory: String,
        on fileSystem: any FileSystem
    ) throws(ApusError) -> SalvageTable {
        let walk = try TableWalk(number, in: directory, on: fileSystem)
        var table = SalvageTable(number: number, metadata: known, keyspace: 0, rangeDeletions: [])
        if let footer = walk.footer {
            if let block = try walk.read(footer.properties, .properties) {
                defer { block.release() }
                table.take(block.buffer, .properties)
            }
            if !footer.rangeDeletions.isNone, let block = try walk.read(footer.rangeDeletions, .rangeDeletions) {
                defer { block.release() }
                table.take(block.buffer, .rangeDeletions)
            }
            return table
        }
        while let finding = try walk.next() {
            if case .block(let part) = finding { table.take(part.block.buffer, part.kind) }
        }
        return table
    }

    private mutating func take(_ bytes: UnsafeRawBufferPointer, _ kind: StoredBlockKind) {
        switch kind {
        case .properties:
            guard let properties = try? TableProperties.decode(bytes, number: number) else { return }
            keyspace = properties.keyspace
            metadata = metadata ?? properties.metadata
        case .rangeDeletions:
            rangeDeletions += (try? RangeDeletion.decodeAll(bytes)) ?? []
        case .data, .filter, .leaf, .root:
            break
        }
    }

    /// Runs of tables that do not overlap, so that each can be read as one source. Of an entry that several runs have,
    /// that of the newest table comes from the earlier run.
    static func runs(_ tables: [SalvageTable]) -> [[SalvageTable]] {
        var runs: [[SalvageTable]] = []
        let bounded = tables.filter { $0.metadata != nil }
        let sorted = bounded.sorted { a, b in
            let order = compareBytes(a.metadata!.smallest, b.metadata!.smallest)
            return order != 0 ? order < 0 : a.number < b.number
        }
        for table in sorted {
            let smallest = table.metadata!.smallest
            if let index = runs.firstIndex(where: { TableOrder.ends($0[$0.count - 1].metadata!, before: smallest) }) {
                runs[index].append(table)
            } else {
                runs.append([table])
            }
        }
        runs += tables.filter { $0.metadata == nil }.map { [$0] }
        return runs.sorted { a, b in a.map(\.number).max()! > b.map(\.number).max()! }
    }
}
