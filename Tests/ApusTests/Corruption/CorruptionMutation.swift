// What can happen to the files of a database that nobody has open: bits, sectors, ranges and whole files.

@testable import Apus

struct CorruptionMutation {
    /// New contents of files; nil: the file is gone.
    typealias Change = [String: [UInt8]?]

    var what: String
    var change: Change

    private static let sector = 512

    /// One of the kinds of damage, by the seed.
    static func random(_ sample: CorruptionSample, _ random: inout TestRandom) -> CorruptionMutation {
        while true {
            if let mutation = draw(sample, &random), mutation.change.contains(where: { sample.files[$0] != $1 }) {
                return mutation
            }
        }
    }

    /// nil if there is nothing that it could be done to.
    private static func draw(_ sample: CorruptionSample, _ random: inout TestRandom) -> CorruptionMutation? {
        let names = sample.files.keys.sorted()
        let name = random.pick(names)
        let bytes = sample.files[name]!
        switch random.below(13) {
        case 0: return one(name, "loses \(bytes.count) bytes", nil)
        case 1: return swapWithin(name, bytes, &random)
        case 2: return swapBetween(name, random.pick(names), sample, &random)
        case 3: return duplicateSector(name, bytes, &random)
        case 4:
            let other = random.pick(names)
            return one(name, "is a copy of \(other)", sample.files[other]!)
        case 5:
            guard let copies = sample.older[name], !copies.isEmpty else { return nil }
            return one(name, "is an older copy of itself", random.pick(copies))
        case 6: return duplicateFile(name, bytes, sample, &random)
        case 7: return one(name, "is zeroed", [UInt8](repeating: 0, count: bytes.count))
        case 8: return overwrite(name, bytes, "zeros", &random) { _ in 0 }
        case 9: return overwrite(name, bytes, "garbage", &random) { UInt8(truncatingIfNeeded: $0.next()) }
        case 10:
            let tail = random.bytes(1 + random.below(700))
            return one(name, "has \(tail.count) bytes of garbage appended", bytes + tail)
        case 11:
            let tail = bytes.suffix(1 + random.below(700))
            return one(name, "has a copy of its last \(tail.count) bytes appended", bytes + tail)
        default:
            let count = random.below(Swift.max(bytes.count, 1))
            return one(name, "is cut to \(count)", Array(bytes[..<count]))
        }
    }

    private static func one(_ name: String, _ what: String, _ bytes: [UInt8]?) -> CorruptionMutation {
        CorruptionMutation(what: "\(name) \(what)", change: [name: bytes])
    }

    /// The range of a sector; the last one may be short.
    private static func sector(_ index: Int, _ bytes: [UInt8]) -> Range<Int> {
        index * sector..<Swift.min((index + 1) * sector, bytes.count)
    }

    private static func sectorCount(_ bytes: [UInt8]) -> Int { (bytes.count + sector - 1) / sector }

    private static func swapWithin(
        _ name: String, _ bytes: [UInt8], _ random: inout TestRandom
    ) -> CorruptionMutation? {
        guard bytes.count >= 2 * sector else { return nil }
        let (a, b) = (random.below(bytes.count / sector), random.below(bytes.count / sector))
        var changed = bytes
        changed.replaceSubrange(sector(a, bytes), with: bytes[sector(b, bytes)])
        changed.replaceSubrange(sector(b, bytes), with: bytes[sector(a, bytes)])
        return one(name, "has sectors \(a) and \(b) swapped", changed)
    }

    private static func swapBetween(
        _ name: String, _ other: String, _ sample: CorruptionSample, _ random: inout TestRandom
    ) -> CorruptionMutation? {
        var (first, second) = (sample.files[name]!, sample.files[other]!)
        guard name != other, !first.isEmpty, !second.isEmpty else { return nil }
        let (a, b) = (random.below(sectorCount(first)), random.below(sectorCount(second)))
        // As much as both have, so that the files keep their sizes.
        let count = Swift.min(sector(a, first).count, sector(b, second).count)
        let (from, to) = (a * sector..<a * sector + count, b * sector..<b * sector + count)
        let kept = Array(first[from])
        first.replaceSubrange(from, with: second[to])
        second.replaceSubrange(to, with: kept)
        return CorruptionMutation(
            what: "sector \(a) of \(name) is swapped with sector \(b) of \(other)",
            change: [name: first, other: second])
    }

    private static func duplicateSector(
        _ name: String, _ bytes: [UInt8], _ random: inout TestRandom
    ) -> CorruptionMutation? {
        guard !bytes.isEmpty else { return nil }
        let (a, b) = (random.below(sectorCount(bytes)), random.below(sectorCount(bytes)))
        let count = Swift.min(sector(a, bytes).count, sector(b, bytes).count)
        var changed = bytes
        changed.replaceSubrange(b * sector..<b * sector + count, with: bytes[a * sector..<a * sector + count])
        return one(name, "has sector \(a) in the place of sector \(b) too", changed)
    }

    private static func duplicateFile(
        _ name: String, _ bytes: [UInt8], _ sample: CorruptionSample, _ random: inout TestRandom
    ) -> CorruptionMutation? {
        guard let file = FileName(name), let number = file.number, let dot = name.firstIndex(of: ".") else {
            return nil
        }
        let highest = sample.files.keys.compactMap { FileName($0)?.number }.max()!
        // Below, between and above the numbers in use.
        let copy = random.pick([UInt64(1), number + 1, highest + 1, highest + 7])
        let digits = String(copy)
        let copyName = String(repeating: "0", count: 12 - digits.count) + digits + name[dot...]
        guard sample.files[copyName] == nil else { return nil }
        return one(copyName, "is a copy of \(name)", bytes)
    }

    private static func overwrite(
        _ name: String, _ bytes: [UInt8], _ what: String, _ random: inout TestRandom,
        _ byte: (inout TestRandom) -> UInt8
    ) -> CorruptionMutation? {
        guard !bytes.isEmpty else { return nil }
        let start = random.below(bytes.count)
        let count = Swift.min(1 + random.below(random.pick([8, 64, 700])), bytes.count - start)
        var changed = bytes
        for position in start..<start + count { changed[position] = byte(&random) }
        return one(name, "has \(what) from \(start) to \(start + count)", changed)
    }
}
