// Whole tables: opened, searched, walked with and without the index, verified.
//
// flags: u8 (1 = put checksums right, 2 = not the file's number, 4 = read ahead, 8 = no cache)
// │ a key to look for: count u8, bytes │ the file

import ApusIO
import ApusSimulation

@testable import Apus

extension FuzzTarget {
    static let table = FuzzTarget(
        name: "table",
        summary: "whole tables: lookups, cursors, walk, verification",
        maximumByteCount: 8192,
        run: { bytes in
            var source = ByteSource(bytes)
            let (flags, key) = (source.byte(), source.bytes(upTo: 32))
            var file = source.rest()
            if flags & 1 != 0 { StoredBlocks.repair(&file, number: TableCase.number, isOurs: flags & 2 == 0) }
            TableCase(file).run(key: key, readsAhead: flags & 4 != 0, fillsCache: flags & 8 == 0)
        },
        seeds: tableSeeds
    )
}

private struct TableCase {
    static let number: FileNumber = 7
    /// A foreign index may name one block again and again.
    private static let stepLimit = 3_000

    private let disk = FuzzDisk()
    private let metadata: TableMetadata

    init(_ file: [UInt8]) {
        disk.put(.table(Self.number), file)
        metadata = StoredBlocks.metadata(file, number: Self.number)
    }

    func run(key: [UInt8], readsAhead: Bool, fillsCache: Bool) {
        do {
            let epochs = EpochDomain()
            let context = TableContext(
                cache: BlockCache(capacity: 1 << 20, epochs: epochs),
                epochs: epochs,
                filePool: FilePool(fileSystem: disk.disk)
            ) { _ in }
            let table = Table(metadata: metadata, path: disk.path(.table(Self.number)), context: context)
            var problems: [ApusError] = []
            do throws(ApusError) { try table.verify { problems.append($0) } } catch { problems.append(error) }
            let found = entries(table, readsAhead: readsAhead, fillsCache: fillsCache)
            if problems.isEmpty { expectWhole(table, found) }
            search(table, key)
            for entry in (found ?? []).prefix(50) { search(table, entry.key) }
            do throws(ApusError) { _ = try table.rangeDeletions()?.all() } catch {}
            walk(isSound: problems.isEmpty)
        }
        disk.expectDumps(.table(Self.number))
        disk.expectClosed()
    }

    /// nil if an error ended the scan, or it was too long.
    private func entries(_ table: Table, readsAhead: Bool, fillsCache: Bool) -> [BlockEntry]? {
        let cursor = table.makeCursor(fillCache: fillsCache, readahead: readsAhead)
        var forward: [BlockEntry] = []
        var backward: [BlockEntry] = []
        do throws(ApusError) {
            try cursor.seekToFirst()
            while cursor.isValid {
                forward.append(BlockEntry(cursor))
                guard forward.count < Self.stepLimit else { return nil }
                try cursor.next()
            }
            try cursor.seekToLast()
            while cursor.isValid, backward.count < Self.stepLimit {
                backward.append(BlockEntry(cursor))
                try cursor.previous()
            }
        } catch {
            return nil
        }
        expect(backward.reversed() == forward, "a table is the same in both directions")
        return forward
    }

    /// What verifies is searched right.
    private func expectWhole(_ table: Table, _ found: [BlockEntry]?) {
        guard let found else { violated("a table that verifies can be scanned") }
        expect(UInt64(found.count) == metadata.entryCount, "a table that verifies has all its entries")
        expect(zip(found, found.dropFirst()).allSatisfy { $0.isBefore($1) }, "a table that verifies is in order")
        let pin = table.context.epochs.pin()
        defer { table.context.epochs.unpin(pin) }
        for entry in found {
            entry.key.withUnsafeBytes { key in
                do throws(ApusError) {
                    let hit = try table.find(key, hash: KeyHash.of(key), Trailer(rawValue: entry.trailer), fill: true)
                    expect(hit?.trailer.rawValue == entry.trailer, "a table that verifies finds its entries")
                } catch {
                    violated("a table that verifies can be searched: \(error)")
                }
            }
        }
    }

    private func search(_ table: Table, _ key: [UInt8]) {
        let cursor = table.makeCursor(fillCache: true, readahead: false)
        key.withUnsafeBytes { key in
            let pin = table.context.epochs.pin()
            defer { table.context.epochs.unpin(pin) }
            do throws(ApusError) { _ = try table.find(key, hash: KeyHash.of(key), .seek(.max), fill: true) } catch {}
            do throws(ApusError) { _ = try table.approximateOffset(of: key) } catch {}
            for trailer in [Trailer.first, .last] {
                do throws(ApusError) {
                    try cursor.seek(key, trailer)
                    if cursor.isValid { try cursor.previous() }
                    try cursor.seekBefore(key, trailer)
                    if cursor.isValid { try cursor.next() }
                } catch {}
            }
        }
    }

    private func walk(isSound: Bool) {
        do throws(ApusError) {
            let walk = try TableWalk(Self.number, in: FuzzDisk.directory, on: disk.disk)
            var end: UInt64 = 0
            while let finding = try walk.next() {
                switch finding {
                case .block(let part): end = part.handle.end
                case .damage(let damage):
                    expect(!isSound, "a walk finds no damage in a table that verifies: \(damage)")
                    expect(damage.byteCount > 0, "damage takes room")
                    expect(damage.offset >= end, "a walk goes forward")
                    if damage.place != .length { end = damage.offset + damage.byteCount }
                }
                expect(end <= metadata.byteCount, "a walk stays within the file")
            }
        } catch {
            expect(error.kind == .unsupportedFormat, "a walk goes on behind damage: \(error)")
        }
    }
}

extension BlockEntry {
    fileprivate init(_ cursor: EntryCursor) {
        self.init(
            key: [UInt8](cursor.key),
            trailer: cursor.trailer.rawValue,
            payload: [UInt8](cursor.payload)
        )
    }
}

// MARK: - Seeds

private let tableSeeds: @Sendable () -> [String: [UInt8]] = {
    func table(_ options: TableWriterOptions, count: Int, deletions: [RangeDeletion] = []) -> [UInt8] {
        let disk = FuzzDisk()
        return must("write a table") {
            let path = disk.path(.table(TableCase.number))
            let writer = TableWriter(
                file: try disk.disk.open(path, .create),
                path: path,
                number: TableCase.number,
                options: options,
                createdAt: 1_000
            )
            for index in 0..<count {
                let key = Array("key \(String(UnicodeScalar(UInt8(65 + index / 26))))\(index % 26 + 10)".utf8)
                let payload = [UInt8](repeating: UInt8(index), count: 8 + index % 5)
                let kind: EntryKind = index % 7 == 3 ? .expiringValue : index % 7 == 5 ? .deletion : .value
                try key.withUnsafeBytes { key in
                    try (kind == .deletion ? [] : payload).withUnsafeBytes {
                        try writer.add(key, Trailer(SequenceNumber(UInt64(index + 1)), kind), $0)
                    }
                }
            }
            if !deletions.isEmpty { try writer.addRangeDeletions(RangeDeletions(deletions)) }
            _ = try writer.finish()
            return try disk.disk.content(FileName.table(TableCase.number).string)
        }
    }
    let deletion = RangeDeletion(start: Array("key B".utf8), end: Array("key C".utf8), sequence: SequenceNumber(400))
    let key = [4] + Array("keyB".utf8)
    let plain = table(TableWriterOptions(blockByteCount: 128, codec: .none), count: 20)
    return [
        "plain": [1] + key + plain, "untouched": [0] + key + plain,
        "lz4": [5] + key
            + table(TableWriterOptions(blockByteCount: 400, codec: .lz4), count: 50, deletions: [deletion]),
        "zstd": [9] + key + table(TableWriterOptions(blockByteCount: 600, codec: .zstd, keyspace: 2), count: 40),
        "many": [1] + key
            + table(TableWriterOptions(blockByteCount: 1, codec: .none, filterBitsPerKey: 4), count: 40),
        "deletions": [1] + key + table(TableWriterOptions(), count: 0, deletions: [deletion]),
    ]
}
