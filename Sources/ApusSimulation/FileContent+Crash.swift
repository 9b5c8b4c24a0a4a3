// What a power loss leaves of a file. The page cache writes sectors back whenever it likes, so each sector may hold its
// content after any of the unsynced changes that touched it, or what it held at the last sync; and the file's length,
// which is metadata, may be that after any unsynced change.

/// How much of what was not synced survives a crash.
enum Survival {
    case nothing
    case everything
    /// The generator decides.
    case some
}

extension FileContent {
    /// Which unsynced changes of a sector survive: the first few of those that touched it.
    private struct SectorFate {
        /// Changes that touched the sector.
        var changeCount = 0
        /// The fewest and the most that may survive, because a truncation did or did not.
        var floor = 0
        var ceiling = Int.max
        /// Changes that belong to the surviving prefix of all changes, where one is asked for.
        var prefixCount = 0
    }

    /// How the bytes of one file fare; the common shapes of real crashes, rather than noise only.
    private enum Shape {
        case nothing
        case everything
        /// As if written back in order: the first changes, and of the next one its first sectors. A torn tail.
        case prefix(changes: Int, sectors: Int)
        /// Each sector by itself, keeping its newest state with this probability.
        case sectors(Double)
    }

    mutating func crash(_ survival: Survival, _ generator: inout SeededGenerator) {
        defer { settle() }
        let changeCount = unsynced.count
        let survivingLengths: Int
        let shape: Shape
        switch survival {
        case .nothing: (survivingLengths, shape) = (0, .nothing)
        case .everything: (survivingLengths, shape) = (changeCount, .everything)
        case .some:
            guard changeCount > 0 else {
                (survivingLengths, shape) = (0, .nothing)
                break
            }
            shape = randomShape(&generator)
            switch generator.below(4) {
            case 0: survivingLengths = 0
            case 1: survivingLengths = generator.below(changeCount + 1)
            default: survivingLengths = changeCount
            }
        }
        let length = survivingLengths == changeCount ? bytes.count : unsynced[survivingLengths].lengthBefore
        pad()
        takeBack(shape, survivingLengths, &generator)
        for (sector, old) in dropped { restore(old, of: sector * Self.sectorByteCount, Self.sectorByteCount) }
        bytes.removeLast(bytes.count - length)
    }

    /// A sync has failed and the cache has given up on what was dirty: reads go on seeing it, the disk never gets it.
    mutating func dropUnsynced(_ generator: inout SeededGenerator) {
        guard let first = unsynced.first else { return }
        // Some of the pages may have been written before the failure, or none.
        let lossProbability = generator.chance(0.5) ? 1 : 0.5
        var disk = self
        disk.dropped.removeAll()
        disk.pad()
        let touched = disk.takeBack(.nothing, 0, &generator)
        let size = Self.sectorByteCount
        for sector in touched where lossProbability == 1 || generator.chance(lossProbability) {
            let start = sector * size
            dropped[sector] = disk.copy(start..<min(start + size, disk.bytes.count))
        }
        let length = first.lengthBefore
        unsynced.removeAll()
        // The length is metadata: the journal still has it.
        if length != bytes.count {
            unsynced.append(UnsyncedChange(offset: bytes.count, byteCount: 0, old: [], lengthBefore: length))
        }
    }

    /// There must be a change.
    private func randomShape(_ generator: inout SeededGenerator) -> Shape {
        switch generator.below(6) {
        case 0: return .nothing
        case 1: return .everything
        case 2, 3:
            let torn = generator.below(unsynced.count)
            let sectorCount = unsynced[torn].byteCount / Self.sectorByteCount + 2
            return .prefix(changes: torn, sectors: generator.below(sectorCount + 1))
        default: return .sectors([0.1, 0.5, 0.9][generator.below(3)])
        }
    }

    /// Makes `bytes` as long as the file has ever been since the last sync, so that any state fits.
    private mutating func pad() {
        let longest = unsynced.reduce(bytes.count) { max($0, $1.lengthBefore) }
        appendZeros(longest - bytes.count)
    }

    /// Undoes the changes that do not survive, newest first. Returns the sectors any change touched, ascending.
    @discardableResult
    private mutating func takeBack(
        _ shape: Shape,
        _ survivingLengths: Int,
        _ generator: inout SeededGenerator
    ) -> [Int] {
        let size = Self.sectorByteCount
        var fates = [SectorFate](repeating: SectorFate(), count: (bytes.count + size - 1) / size)
        for (number, change) in unsynced.enumerated() {
            for sector in change.sectors(below: fates.count) {
                fates[sector].changeCount += 1
                if case .prefix(let changes, let sectors) = shape,
                    number < changes || number == changes && sector - change.offset / size < sectors
                {
                    fates[sector].prefixCount += 1
                }
                guard change.isTruncation else { continue }
                if number < survivingLengths {
                    fates[sector].floor = fates[sector].changeCount
                } else {
                    fates[sector].ceiling = min(fates[sector].ceiling, fates[sector].changeCount - 1)
                }
            }
        }
        let touched = fates.indices.filter { fates[$0].changeCount > 0 }
        // From here on `floor` is how many changes survive.
        for sector in touched {
            let fate = fates[sector]
            let kept: Int
            switch shape {
            case .nothing: kept = 0
            case .everything: kept = fate.changeCount
            case .prefix: kept = fate.prefixCount
            case .sectors(let probability):
                kept = generator.chance(probability) ? fate.changeCount : generator.below(fate.changeCount + 1)
            }
            fates[sector].floor = min(max(kept, fate.floor), fate.ceiling)
        }
        for change in unsynced.reversed() {
            for sector in change.sectors(below: fates.count) {
                if fates[sector].changeCount > fates[sector].floor {
                    let start = max(change.offset, sector * size)
                    let end = min(change.offset + change.byteCount, (sector + 1) * size)
                    restore(change.old, of: change.offset, start..<end)
                }
                fates[sector].changeCount -= 1
            }
        }
        return touched
    }

    private mutating func restore(_ old: [UInt8], of offset: Int, _ byteCount: Int) {
        restore(old, of: offset, offset..<offset + byteCount)
    }

    /// Puts back the part in `range` of what stood at `offset`: `old`, and zeros where it ends.
    private mutating func restore(_ old: [UInt8], of offset: Int, _ range: Range<Int>) {
        let end = min(range.upperBound, bytes.count)
        guard range.lowerBound < end else { return }
        let known = min(max(range.lowerBound, offset + old.count), end)
        bytes.withUnsafeMutableBytes { target in
            old.withUnsafeBytes { source in
                if range.lowerBound < known {
                    UnsafeMutableRawBufferPointer(rebasing: target[range.lowerBound..<known]).copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: source[range.lowerBound - offset..<known - offset])
                    )
                }
            }
            Self.zeroSector.withUnsafeBytes { zeros in
                UnsafeMutableRawBufferPointer(rebasing: target[known..<end]).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: zeros[..<(end - known)])
                )
            }
        }
    }

    private static let zeroSector = [UInt8](repeating: 0, count: sectorByteCount)
}

extension UnsyncedChange {
    /// The numbers of the sectors it touched.
    func sectors(below count: Int) -> Range<Int> {
        if byteCount == 0 { return 0..<0 }
        let size = FileContent.sectorByteCount
        return offset / size..<min((offset + byteCount - 1) / size + 1, count)
    }
}
