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
        var fates = fates(shape, survivingLengths)
        let touched = fates.touched
        var kept = fates
        for sector in touched { kept[sector].changeCount = survivors(of: fates[sector], shape, &generator) }
        let size = Self.sectorByteCount
        for change in unsynced.reversed() {
            for sector in change.sectors {
                if fates[sector].changeCount > kept[sector].changeCount {
                    let start = max(change.offset, sector * size)
                    let end = min(change.offset + change.byteCount, (sector + 1) * size)
                    restore(change.old, of: change.offset, start..<end)
                }
                fates[sector].changeCount -= 1
            }
        }
        return touched
    }

    /// What happened to each sector since the last sync.
    private func fates(_ shape: Shape, _ survivingLengths: Int) -> SectorFates {
        var fates = SectorFates(unsynced.map(\.sectors))
        for (number, change) in unsynced.enumerated() {
            let sectors = change.sectors
            for sector in sectors {
                fates[sector].changeCount += 1
                if case .prefix(let changes, let tornSectors) = shape,
                    number < changes || number == changes && sector - sectors.lowerBound < tornSectors
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
        return fates
    }

    /// How many of the changes of a sector survive.
    private func survivors(of fate: SectorFate, _ shape: Shape, _ generator: inout SeededGenerator) -> Int {
        let wanted: Int
        switch shape {
        case .nothing: wanted = 0
        case .everything: wanted = fate.changeCount
        case .prefix: wanted = fate.prefixCount
        case .sectors(let probability):
            wanted = generator.chance(probability) ? fate.changeCount : generator.below(fate.changeCount + 1)
        }
        return min(max(wanted, fate.floor), fate.ceiling)
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

/// The fates of the touched part of a file, by sector number: a long log changes at one place only.
private struct SectorFates {
    private let first: Int
    private var fates: [SectorFate]

    init(_ ranges: [Range<Int>]) {
        let ranges = ranges.filter { !$0.isEmpty }
        first = ranges.map(\.lowerBound).min() ?? 0
        let end = ranges.map(\.upperBound).max() ?? 0
        fates = [SectorFate](repeating: SectorFate(), count: end - first)
    }

    subscript(sector: Int) -> SectorFate {
        get { fates[sector - first] }
        set { fates[sector - first] = newValue }
    }

    /// Sectors that any change touched, ascending.
    var touched: [Int] {
        fates.indices.filter { fates[$0].changeCount > 0 }.map { $0 + first }
    }
}

extension UnsyncedChange {
    /// The numbers of the sectors it touched.
    fileprivate var sectors: Range<Int> {
        if byteCount == 0 { return 0..<0 }
        let size = FileContent.sectorByteCount
        return offset / size..<(offset + byteCount - 1) / size + 1
    }
}
