// What the torture writes: the content of every commit as a pure function of seed, thread and commit number, so that a
// verifier that has never seen the writer can compute what must be in the database, byte for byte.
//
// Every thread owns four regions of keys in each keyspace and fills them in turn, one per epoch of commits. An epoch
// begins by deleting the whole region: the database stays small, however long it runs, and what older epochs wrote
// has to stay as it is meanwhile. Three things are shared by all threads: a counter that every commit merges into,
// accounts between which transactions move amounts (the second half of an epoch moves back what the first half
// moved), and the order of commits: each one carries how many commits of every thread had returned before it began.

/// The keyspaces of a tortured database.
enum TortureKeyspace: Int, CaseIterable {
    /// Puts, deletions and range deletions of small values.
    case values
    /// Merges by appending.
    case lists
    /// Values large enough for blob files.
    case blobs

    var name: String {
        switch self {
        case .values: "values"
        case .lists: "lists"
        case .blobs: "blobs"
        }
    }

    /// Keys of one region.
    var slotCount: Int {
        switch self {
        case .values: 160
        case .lists: 40
        case .blobs: 6
        }
    }
}

/// The keyspace of counters, accounts and positions.
enum TortureControl {
    static let name = "control"
    static let workloadKey = "workload"
    static let totalKey = "total"
    /// Counts the verifications that wrote after a recovery.
    static let verifiedKey = "verified"
    static let accountCount = 8

    static func accountKey(_ account: Int) -> String { "account/\(account)" }
    /// How many commits of the thread there are; in every keyspace, so that half a commit shows at once.
    static func positionKey(_ thread: Int) -> String { TortureWorkload.prefix(thread) + "position" }
    /// The order of commits as the thread's last one saw it.
    static func seenKey(_ thread: Int) -> String { TortureWorkload.prefix(thread) + "seen" }
}

/// A value by what it follows from.
struct TortureValue: Equatable {
    var thread: Int
    var commit: Int
    var operation: Int
    var byteCount: Int
}

/// One commit, as data.
struct TortureCommit {
    enum Operation {
        case put(TortureKeyspace, slot: Int, TortureValue)
        case append(slot: Int, TortureValue)
        case delete(TortureKeyspace, slot: Int)
        case deleteSlots(TortureKeyspace, Range<Int>)
        /// Everything in the region that the epoch is about to fill.
        case clearRegion
    }

    enum Maintenance {
        case none, flush, synchronize
        case compact(TortureKeyspace)
    }

    struct Transfer {
        var from: Int
        var to: Int
        var amount: Int64
    }

    var thread: Int
    var number: Int
    var generation: Int
    var isDurable: Bool
    var operations: [Operation]
    /// Makes the commit a transaction.
    var transfer: Transfer?
    /// What follows the commit.
    var maintenance: Maintenance
}

struct TortureWorkload: Equatable {
    static let commitsPerEpoch = 160
    static let generations = 4
    static let threadRange = 1...64

    var seed: UInt64
    var threads: Int

    /// What the database says about its own content.
    var description: String { "apus-torture 1 \(seed) \(threads)" }

    // MARK: Keys

    static func prefix(_ thread: Int) -> String { "t\(padded(thread, 2))/" }

    static func regionPrefix(_ thread: Int, _ generation: Int) -> String { prefix(thread) + "g\(generation)" }

    /// Sorts before the slot's key and after every earlier one.
    static func bound(_ thread: Int, _ generation: Int, _ slot: Int) -> String {
        regionPrefix(thread, generation) + "/" + padded(slot, 5)
    }

    /// Keys of all shapes: short ones, long ones, with the lowest and the highest bytes at their end.
    static func key(_ thread: Int, _ generation: Int, _ slot: Int) -> [UInt8] {
        var key = Array(bound(thread, generation, slot).utf8)
        switch slot % 8 {
        case 1: key += [0xFF, 0xFF]
        case 3: key += [0x00]
        case 5: key += [UInt8](repeating: UInt8(ascii: "k"), count: 100)
        default: break
        }
        return key
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    // MARK: Values

    /// Begins with what it follows from, readably; then half noise, half repetition, for the compressors.
    func bytes(_ value: TortureValue) -> [UInt8] {
        if value.byteCount == 0 { return [] }
        var bytes = Array("\(value.thread).\(value.commit).\(value.operation);".utf8)
        bytes.reserveCapacity(max(bytes.count, value.byteCount + 8))
        var random = TortureRandom(seed, UInt64(value.thread), UInt64(value.commit), UInt64(value.operation) &+ 1 << 32)
        while bytes.count < value.byteCount {
            let isNoise = bytes.count * 2 < value.byteCount || bytes.count < 16
            let word = isNoise ? random.next() : 0x6170_7573_2074_6F72
            withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
        }
        bytes.removeLast(bytes.count - value.byteCount)
        return bytes
    }

    // MARK: Commits

    func commit(_ thread: Int, _ number: Int) -> TortureCommit {
        var random = TortureRandom(seed, UInt64(thread), UInt64(number), 0)
        let index = number % Self.commitsPerEpoch
        // Threads differ in how often they wait for the disk: every second commit, every eighth, and so on.
        let isDurable = random.chance(1, in: 2 << (2 * (thread % 4)))
        let maintenance: TortureCommit.Maintenance =
            switch random.below(2_000) {
            case 0..<5: .flush
            case 5..<15: .synchronize
            case 15: .compact(TortureKeyspace.allCases[random.below(TortureKeyspace.allCases.count)])
            default: .none
            }
        var operations: [TortureCommit.Operation] = []
        if index == 0 { operations.append(.clearRegion) }
        for operation in 0..<1 + random.below(10) {
            operations.append(Self.operation(thread, number, operation, &random))
        }
        return TortureCommit(
            thread: thread,
            number: number,
            generation: number / Self.commitsPerEpoch % Self.generations,
            isDurable: isDurable,
            operations: operations,
            transfer: transfer(thread, number),
            maintenance: maintenance
        )
    }

    private static func operation(
        _ thread: Int, _ number: Int, _ operation: Int, _ random: inout TortureRandom
    ) -> TortureCommit.Operation {
        func value(_ byteCount: Int) -> TortureValue {
            TortureValue(thread: thread, commit: number, operation: operation, byteCount: byteCount)
        }
        func slot(_ keyspace: TortureKeyspace) -> Int { random.below(keyspace.slotCount) }
        switch random.below(1_000) {
        case 0..<560: return .put(.values, slot: slot(.values), value(random.below(300)))
        case 560..<580: return .put(.values, slot: slot(.values), value(2_000 + random.below(4_000)))
        case 580..<680: return .delete(.values, slot: slot(.values))
        case 680..<710: return .deleteSlots(.values, slots(.values, 24, &random))
        case 710..<890: return .append(slot: slot(.lists), value(1 + random.below(40)))
        case 890..<920: return .put(.lists, slot: slot(.lists), value(random.below(60)))
        case 920..<940: return .delete(.lists, slot: slot(.lists))
        case 940..<955: return .deleteSlots(.lists, slots(.lists, 8, &random))
        case 955..<985: return .put(.blobs, slot: slot(.blobs), value(blobByteCount(&random)))
        default: return .delete(.blobs, slot: slot(.blobs))
        }
    }

    /// Mostly above the threshold of separation, sometimes below it, now and then very large.
    private static func blobByteCount(_ random: inout TortureRandom) -> Int {
        switch random.below(40) {
        case 0..<6: random.below(2_000)
        case 6: 400_000 + random.below(800_000)
        default: 4_000 + random.below(30_000)
        }
    }

    private static func slots(_ keyspace: TortureKeyspace, _ width: Int, _ random: inout TortureRandom) -> Range<Int> {
        let start = random.below(keyspace.slotCount)
        return start..<min(keyspace.slotCount, start + 1 + random.below(width))
    }

    /// Commit i of an epoch and commit n - i move the same amount there and back, so whole epochs move nothing, and a
    /// balance follows from the epochs that are not complete.
    private func transfer(_ thread: Int, _ number: Int) -> TortureCommit.Transfer? {
        let (epoch, index) = number.quotientAndRemainder(dividingBy: Self.commitsPerEpoch)
        let mirrored = Self.commitsPerEpoch - index
        guard index > 0, index != mirrored else { return nil }
        var random = TortureRandom(seed, UInt64(thread), UInt64(epoch), UInt64(min(index, mirrored)) &+ 1 << 48)
        guard random.chance(1, in: 8) else { return nil }
        let from = random.below(TortureControl.accountCount)
        let to = (from + 1 + random.below(TortureControl.accountCount - 1)) % TortureControl.accountCount
        let amount = Int64(1 + random.below(1_000))
        return index < mirrored
            ? TortureCommit.Transfer(from: from, to: to, amount: amount)
            : TortureCommit.Transfer(from: to, to: from, amount: amount)
    }
}

/// SplitMix64: small, and the same on every platform.
struct TortureRandom {
    private var state: UInt64

    /// Numbers that follow from all of `parts`.
    init(_ parts: UInt64...) {
        state = 0
        for part in parts {
            state ^= part
            state = next()
        }
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// In `0..<bound`.
    mutating func below(_ bound: Int) -> Int { Int(next() >> 1) % bound }

    /// True once in `count` times.
    mutating func chance(_ wanted: Int, in count: Int) -> Bool { below(count) < wanted }
}
