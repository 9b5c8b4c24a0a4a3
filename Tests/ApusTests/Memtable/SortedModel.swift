// What the tests of sorted structures compare with: entries in a plain sorted array, and keys that provoke mistakes.

@testable import Apus

/// Families of keys, each with its own way to break a search by key heads.
enum KeyFamily: CaseIterable {
    /// Up to six bytes of 00, 01, FE, FF: prefixes of each other, zero padding against real zeroes, all-FF keys.
    case extremes
    /// The first eight bytes are all equal.
    case equalHeads
    /// Forty bytes in common, with a few places where they branch.
    case longPrefixes
    /// Sixteen random bytes.
    case random
    /// Decimal digits in order of magnitude.
    case decimal
    /// Few keys with many versions each.
    case few

    func key(_ random: inout TestRandom) -> [UInt8] {
        switch self {
        case .extremes:
            return (0...random.below(6)).map { _ in [0x00, 0x01, 0xFE, 0xFF][random.below(4)] }
        case .equalHeads:
            return Array("12345678".utf8) + (0..<random.below(4)).map { _ in UInt8(random.below(8)) }
        case .longPrefixes:
            let branch = UInt8(random.below(3))
            return [UInt8](repeating: branch, count: 20) + [UInt8](repeating: 7, count: 20)
                + (0...random.below(3)).map { _ in UInt8(random.below(12)) }
        case .random:
            return (0..<16).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        case .decimal:
            let digits = String(random.below(1_000_000))
            return Array((String(repeating: "0", count: 16 - digits.utf8.count) + digits).utf8)
        case .few:
            return Array("key\(random.below(5))".utf8)
        }
    }
}

struct ModelEntry: Equatable {
    var key: [UInt8]
    var trailer: Trailer
    var payload: [UInt8]

    init(_ key: [UInt8], _ trailer: Trailer, _ payload: [UInt8]) {
        self.key = key
        self.trailer = trailer
        self.payload = payload
    }

    /// The cursor's current entry; nil if it is not valid.
    init?(_ cursor: EntryCursor) {
        guard cursor.isValid else { return nil }
        self.init(Array(cursor.key), cursor.trailer, Array(cursor.payload))
    }

    static func before(_ a: ModelEntry, _ b: ModelEntry) -> Bool { a.isBefore(b.key, b.trailer) }

    func isBefore(_ otherKey: [UInt8], _ otherTrailer: Trailer) -> Bool {
        key.withUnsafeBytes { a in
            otherKey.withUnsafeBytes { b in compareInternal(a, trailer, b, otherTrailer) < 0 }
        }
    }
}

/// Entries in order.
struct SortedModel {
    var entries: [ModelEntry] = []

    init(_ entries: [ModelEntry]) { self.entries = entries.sorted(by: ModelEntry.before) }

    /// Index of the first entry at or after the place.
    func index(_ key: [UInt8], _ trailer: Trailer) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].isBefore(key, trailer) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func entry(_ index: Int) -> ModelEntry? { entries.indices.contains(index) ? entries[index] : nil }

    func find(_ key: [UInt8], _ seek: Trailer) -> ModelEntry? {
        entry(index(key, seek)).flatMap { $0.key == key ? $0 : nil }
    }
}

/// A cursor over a model, as a source for merges.
final class ModelCursor: EntryCursor {
    private let model: SortedModel
    private var index = 0

    init(_ model: SortedModel) { self.model = model }

    override func seekToFirst() { stand(0) }
    override func seekToLast() { stand(model.entries.count - 1) }
    override func seek(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) { stand(model.index(Array(key), trailer)) }
    override func seekBefore(_ key: UnsafeRawBufferPointer, _ trailer: Trailer) {
        stand(model.index(Array(key), trailer) - 1)
    }
    override func next() { stand(index + 1) }
    override func previous() { stand(index - 1) }
    override func precedingKeyDiffers() -> Bool { model.entry(index - 1)?.key != model.entry(index)?.key }
    override func followingKeyDiffers() -> Bool { model.entry(index + 1)?.key != model.entry(index)?.key }

    private var copy: UnsafeMutableRawBufferPointer?

    /// Every move frees the views of the place before, so that whoever keeps them is found out.
    private func stand(_ index: Int) {
        self.index = index
        copy?.deallocate()
        copy = nil
        guard let entry = model.entry(index) else {
            isValid = false
            return
        }
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: entry.key.count + entry.payload.count,
            alignment: 1
        )
        bytes.copyBytes(from: entry.key + entry.payload)
        key = UnsafeRawBufferPointer(rebasing: bytes[..<entry.key.count])
        payload = UnsafeRawBufferPointer(rebasing: bytes[entry.key.count...])
        trailer = entry.trailer
        isValid = true
        copy = bytes
    }

    deinit { copy?.deallocate() }
}

extension [UInt8] {
    /// `withUnsafeBytes` by a shorter name: tests call it at every look-up.
    func raw<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withUnsafeBytes(body)
    }
}

extension Memtable {
    func insert(_ entry: ModelEntry) {
        entry.key.raw { key in entry.payload.raw { insert(key, entry.trailer, $0) } }
    }
}
