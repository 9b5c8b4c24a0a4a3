// Reads a table file front to back without trusting its index: for salvage and for dumps.  FORMAT.md §4.1
//
// Blocks tell their length and what they are, so a sound file is walked from block to block. Where no sound block
// stands, the walk goes on at the first of these places that comes next:
//
// 1. where the index, as far as it can be read, says that the block ends (if the index tells all that the block's own
//    length should have told, the block is sound after all);
// 2. where the block ends by its own length, if a sound block stands there;
// 3. the next byte where a sound block begins, or where the index says that one should.
//
// The search for 3 tries every byte, but only where a length that is not too large leads to a known tag does it compute
// a checksum. Checksums computed in vain are counted over the whole walk; when they add up to many times the file, as
// they can only in a file made to that end, the rest of the file is given up. So a walk takes linear time.

import ApusIO

/// Something found in a table file.
enum TableFinding {
    /// A block with the right checksum and structure; its memory is valid until the next call.
    case block(TableWalk.Part)
    case damage(TableDamage)
}

/// Bytes of a table that are not as they were written.
struct TableDamage: Equatable {
    enum Place: Equatable {
        case block(StoredBlockKind)
        /// The length in front of a block that is sound: the index tells it too.
        case length
        case footer
        /// Nobody can tell.
        case unknown
    }
    var offset: UInt64
    var byteCount: UInt64
    var place: Place
    var what: String

    /// Whether entries may be lost with these bytes.
    var mayHoldEntries: Bool { place == .unknown || place == .block(.data) }
}

/// One reading of one table file. One thread; memory is bounded by the largest block.
final class TableWalk {
    /// A sound block.
    struct Part {
        var kind: StoredBlockKind
        var codec: Codec
        var handle: BlockHandle
        var block: CachedBlock

        /// A block of entries: data, leaf or root.
        var entries: Block { Block(validated: block.bytes) }
    }

    let number: FileNumber
    var path: String { reader.path }
    var byteCount: UInt64 { reader.byteCount }
    /// nil if it is damaged, for the reason in `footerDamage`.
    let footer: TableFooter?
    let footerDamage: ApusError?

    private let reader: SegmentReader
    private let decoder: StoredBlockDecoder
    private var position: UInt64 = 0
    private var current: CachedBlock?
    /// A sound block that was found together with damage in front of it.
    private var pending: Part?
    /// What the index says; read when it is first needed.
    private var known: [KnownBlock]?
    /// The first of them that is not before the last damage.
    private var nextKnown = 0
    /// Bytes for which checksums may still be computed in vain.
    private var patience: UInt64

    private struct KnownBlock {
        var handle: BlockHandle
        var kind: StoredBlockKind
        var start: UInt64 { handle.offset - UInt64(TableFormat.blockLengthByteCount) }
    }

    /// Everything around the bytes of a stored block.
    private static let overheadByteCount = UInt64(TableFormat.blockLengthByteCount + TableFormat.blockTrailerByteCount)
    /// A block that nothing but a search leads to is found only if it is not larger.
    private static let searchedByteCount: UInt32 = 256 << 10

    /// Throws only if the file cannot be read at all or is of another version.
    init(_ number: FileNumber, in directory: String, on fileSystem: any FileSystem) throws(ApusError) {
        self.number = number
        reader = try SegmentReader(.table(number), in: directory, on: fileSystem)
        patience = reader.byteCount.multipliedSaturated(16).addingSaturated(1 << 20)
        let footerByteCount = UInt64(TableFormat.footerByteCount)
        let end = reader.byteCount - min(reader.byteCount, footerByteCount)
        var footer: TableFooter?
        var damage: ApusError?
        do throws(ApusError) {
            let bytes = try reader.bytes(at: end, count: Int(reader.byteCount - end))
            footer = try TableFooter.decode(bytes, number: number, at: end, file: reader.path)
        } catch {
            guard error.kind == .corruption else { throw error }
            damage = error
        }
        self.footer = footer
        footerDamage = damage
        // Without a footer nobody knows whether the file ends where it should.
        decoder = StoredBlockDecoder(number: number, path: reader.path, end: footer == nil ? reader.byteCount : end)
    }

    deinit {
        current?.release()
        pending?.block.release()
    }

    /// What comes next in the file; nil at its end. The footer is no finding unless it is damaged.
    func next() throws(ApusError) -> TableFinding? {
        current?.release()
        current = nil
        if let pending {
            self.pending = nil
            current = pending.block
            return .block(pending)
        }
        guard position < decoder.end else { return nil }
        let start = position
        let reason: String
        switch try part(at: start) {
        case .sound(let part):
            current = part.block
            position = part.handle.end
            return .block(part)
        case .malformed(let handle, let kind, let what):
            position = handle.end
            return .damage(damage(from: start, .block(kind), what))
        case .none(let what):
            reason = what
        }
        if let known = try knownBlock(at: start) {
            position = known.handle.end
            let damage = damage(from: start, .block(known.kind), reason)
            guard case .sound(let part) = try part(at: start, known.handle.byteCount) else { return .damage(damage) }
            pending = part
            return .damage(
                TableDamage(
                    offset: start,
                    byteCount: UInt64(TableFormat.blockLengthByteCount),
                    place: .length,
                    what: "a block's length is wrong"
                )
            )
        }
        let end = try resynchronize(from: start)
        position = end
        if let footerDamage, end == byteCount, end - start == UInt64(TableFormat.footerByteCount) {
            return .damage(damage(from: start, .footer, footerDamage.message))
        }
        return .damage(damage(from: start, .unknown, reason))
    }

    /// A block that a handle leads to, checked; nil if it is damaged. The caller releases it.
    func read(_ handle: BlockHandle, _ kind: StoredBlockKind) throws(ApusError) -> CachedBlock? {
        let length = UInt64(TableFormat.blockLengthByteCount)
        guard handle.offset >= length, handle.offset <= decoder.end else { return nil }
        guard case .sound(let part) = try part(at: handle.offset - length, handle.byteCount) else { return nil }
        guard part.kind == kind else {
            part.block.release()
            return nil
        }
        return part.block
    }

    private func damage(from start: UInt64, _ place: TableDamage.Place, _ what: String) -> TableDamage {
        TableDamage(offset: start, byteCount: position - start, place: place, what: what)
    }

    // MARK: - One block

    private enum Candidate {
        case sound(Part)
        /// The checksum is right, so it was written like that.
        case malformed(BlockHandle, StoredBlockKind, String)
        case none(String)
    }

    /// The block whose length stands at `offset`, or should. Counts bytes that turn out to be none against the patience.
    private func part(at offset: UInt64, _ knownCount: UInt32? = nil) throws(ApusError) -> Candidate {
        let room = decoder.end - offset
        guard room > Self.overheadByteCount else { return .none("\(room) bytes are too few for a block") }
        let count = if let knownCount { knownCount } else { try storedLength(at: offset) }
        guard count > 0, UInt64(count) <= room - Self.overheadByteCount else {
            return .none("no block of \(count) bytes fits")
        }
        let handle = BlockHandle(offset: offset + UInt64(TableFormat.blockLengthByteCount), byteCount: count)
        let stored = try reader.bytes(at: handle.offset, count: Int(count) + TableFormat.blockTrailerByteCount)
        do throws(ApusError) {
            let content = try decoder.check(stored, handle)
            do throws(ApusError) {
                let block = try decoder.block(content, handle)
                do throws(DecodingFailure) {
                    try Self.validate(block.buffer, content.kind, number)
                } catch {
                    block.release()
                    return .malformed(handle, content.kind, error.what)
                }
                return .sound(Part(kind: content.kind, codec: content.codec, handle: handle, block: block))
            } catch {
                return .malformed(handle, content.kind, error.message)
            }
        } catch {
            patience -= min(patience, UInt64(count))
            return .none(error.message)
        }
    }

    private func storedLength(at offset: UInt64) throws(ApusError) -> UInt32 {
        try reader.bytes(at: offset, count: TableFormat.blockLengthByteCount).littleEndian(at: 0)
    }

    private static func validate(
        _ bytes: UnsafeRawBufferPointer,
        _ kind: StoredBlockKind,
        _ number: FileNumber
    ) throws(DecodingFailure) {
        switch kind {
        case .data: _ = try Block.validate(bytes, .data)
        case .leaf, .root: _ = try Block.validate(bytes, .index)
        case .filter: _ = try BloomFilter.validate(bytes)
        case .rangeDeletions: _ = try RangeDeletion.decodeAll(bytes)
        case .properties: _ = try TableProperties.decode(bytes, number: number)
        }
    }

    // MARK: - Behind damage

    /// What the index says of the block at `start`.
    private func knownBlock(at start: UInt64) throws(ApusError) -> KnownBlock? {
        let known = try knownBlocks()
        while nextKnown < known.count, known[nextKnown].start < start { nextKnown += 1 }
        guard nextKnown < known.count, known[nextKnown].start == start else { return nil }
        return known[nextKnown]
    }

    /// Where to go on, at least one byte behind `start`, of which the index says nothing.
    private func resynchronize(from start: UInt64) throws(ApusError) -> UInt64 {
        let known = try knownBlocks()
        let limit = nextKnown < known.count ? known[nextKnown].start : decoder.end
        if decoder.end - start > Self.overheadByteCount {
            let count = try storedLength(at: start)
            let end = start + UInt64(count) + Self.overheadByteCount
            if count > 0, end <= limit {
                if end == limit { return end }
                if try isBlock(at: end) { return end }
            }
        }
        return try search(from: start + 1, to: limit)
    }

    private func isBlock(at offset: UInt64) throws(ApusError) -> Bool {
        guard patience > 0 else { return false }
        switch try part(at: offset) {
        case .sound(let part):
            part.block.release()
            return true
        case .malformed: return true
        case .none: return false
        }
    }

    /// The first offset from `start` on where a block begins; `limit` if there is none before it.
    private func search(from start: UInt64, to limit: UInt64) throws(ApusError) -> UInt64 {
        var offset = start
        while offset < limit, limit - offset > Self.overheadByteCount, patience > 0 {
            let stretch = try reader.stretch(at: offset, atLeast: Int(Self.overheadByteCount))
            let base = offset
            var isCandidate = false
            while !isCandidate, offset < limit, Int(offset - base) + 4 <= stretch.count {
                let place = Int(offset - base)
                isCandidate = isPlausible(stretch, place, room: decoder.end - offset)
                if !isCandidate { offset += 1 }
            }
            guard isCandidate else { continue }
            if try isBlock(at: offset) { return offset }
            offset += 1
        }
        return limit
    }

    /// Whether a block may begin at `place`, as far as that can be told without reading it.
    private func isPlausible(_ stretch: UnsafeRawBufferPointer, _ place: Int, room: UInt64) -> Bool {
        let count: UInt32 = stretch.littleEndian(at: place)
        guard count > 0, count <= Self.searchedByteCount, UInt64(count) + Self.overheadByteCount <= room else {
            return false
        }
        let tagPlace = place + TableFormat.blockLengthByteCount + Int(count)
        guard tagPlace < stretch.count else { return true }
        let tag = stretch[tagPlace]
        return StoredBlockKind(rawValue: tag >> 4) != nil && Codec(rawValue: tag & 0xF) != nil
    }

    // MARK: - The index

    /// The blocks that the readable parts of the index name, ascending.
    private func knownBlocks() throws(ApusError) -> [KnownBlock] {
        if let known { return known }
        var found: [KnownBlock] = []
        if let footer {
            let ends: [(BlockHandle, StoredBlockKind)] = [
                (footer.rangeDeletions, .rangeDeletions), (footer.properties, .properties), (footer.root, .root),
            ]
            for (handle, kind) in ends where !handle.isNone { note(handle, kind, &found) }
            if !footer.root.isNone, let root = try read(footer.root, .root) {
                defer { root.release() }
                try collect(Block(validated: root.bytes), &found)
            }
        }
        found.sort { $0.start < $1.start }
        known = found
        return found
    }

    private func collect(_ root: Block, _ found: inout [KnownBlock]) throws(ApusError) {
        var leafEnd: UInt64 = 0
        for rank in 0..<root.entryCount {
            let payload = root.entry(node: root.order.node(rank: rank)).payload
            // Leaves ascend: none is read twice.
            guard let partition = try? IndexPartition(decoding: payload) else { continue }
            if !partition.filter.isNone { note(partition.filter, .filter, &found) }
            guard partition.leaf.offset >= leafEnd, note(partition.leaf, .leaf, &found) else { continue }
            leafEnd = partition.leaf.end
            guard let leaf = try read(partition.leaf, .leaf) else { continue }
            defer { leaf.release() }
            let blocks = Block(validated: leaf.bytes)
            for rank in 0..<blocks.entryCount {
                let payload = blocks.entry(node: blocks.order.node(rank: rank)).payload
                if let handle = try? BlockHandle(leafPayload: payload) { note(handle, .data, &found) }
            }
        }
    }

    /// False if there can be no such block.
    @discardableResult
    private func note(_ handle: BlockHandle, _ kind: StoredBlockKind, _ found: inout [KnownBlock]) -> Bool {
        guard handle.offset >= UInt64(TableFormat.blockLengthByteCount),
            (try? decoder.storedByteCount(handle)) != nil
        else { return false }
        found.append(KnownBlock(handle: handle, kind: kind))
        return true
    }
}
