// Blobs beside the speed of SHA-256, which no store that is addressed by content can do without.

import Apus
import ApusStore
import FoundationEssentials
import Glibc

func runBlobs(_ bench: Bench) throws {
    try runBlobSpeed(bench)
    try runLargeFile(bench)
    try runTrees(bench)
}

/// Bytes that no codec makes smaller.
func incompressible(_ count: Int, seed: UInt64) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count + 8) { buffer, initialized in
        var state = seed
        let bytes = UnsafeMutableRawBufferPointer(buffer)
        for offset in stride(from: 0, to: count, by: 8) {
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            bytes.storeBytes(of: word ^ (word >> 31), toByteOffset: offset, as: UInt64.self)
        }
        initialized = count
    }
}

private func openStore(_ folder: BenchFolder) throws -> Store {
    try Store.open(at: "\(folder.path)/db", options: Options(memoryBudget: 256 << 20))
}

private func runBlobSpeed(_ bench: Bench) throws {
    let sizes = [("16 KiB", 16 << 10, 4096), ("1 MiB", 1 << 20, 128), ("128 MiB", 128 << 20, 2)]
    for (name, byteCount, number) in sizes {
        let count = bench.scaled(number)
        var contents: [[UInt8]] = []
        func hashing(_ target: Double) -> Contender {
            Contender("SHA-256", target: target) { _ in
                for content in contents { keep(BlobID(of: content)) }
                return contents.count
            }
        }
        for durability in [Durability.durable, .relaxed] {
            // Many small contents share a transaction, as an application that adds many would have it.
            let work = "put \(name), incompressible, \(durability)"
            guard bench.wants(work) else { continue }
            var store: Store?
            var blobs: BlobCollection?
            try bench.compare(
                work,
                [
                    Contender(
                        "ApusStore",
                        prepare: { run in
                            blobs = nil
                            try store?.close()
                            store = nil
                            contents = (0..<count).map { incompressible(byteCount, seed: UInt64(run << 20 + $0 << 4)) }
                            store = try openStore(bench.folder.subfolder("put"))
                            blobs = try store?.blobs()
                            BenchFolder.synchronize()
                        },
                        run: { _ in
                            guard let store, let blobs else { return 0 }
                            if byteCount < 1 << 20 {
                                for start in stride(from: 0, to: contents.count, by: 64) {
                                    try store.transaction(durability: durability) { transaction in
                                        for content in contents[start..<min(start + 64, contents.count)] {
                                            try blobs.put(content, in: transaction)
                                        }
                                    }
                                }
                            } else {
                                for content in contents { try blobs.put(content, durability: durability) }
                            }
                            return contents.count
                        }),
                    hashing(0.6),
                ])
            blobs = nil
            try store?.close()
        }
        let work = "get \(name), incompressible"
        guard bench.wants(work) else { continue }
        contents = (0..<count).map { incompressible(byteCount, seed: UInt64($0 << 4)) }
        let store = try openStore(bench.folder.subfolder("get"))
        let blobs = try store.blobs()
        let ids = try contents.map { try blobs.put($0, durability: .relaxed) }
        try store.database.flush()
        try bench.compare(
            work,
            [
                Contender("ApusStore") { _ in
                    for id in ids { keep(try blobs.get(id)) }
                    return ids.count
                },
                hashing(2),
            ])
        try bench.compare(
            "read \(name) in pieces, incompressible",
            [
                Contender("ApusStore") { _ in
                    for id in ids {
                        try blobs.read(id) { piece in
                            keep(piece.byteCount)
                            return .next
                        }
                    }
                    return ids.count
                },
                hashing(2),
            ])
        try store.close()
    }
}

/// One file that is much larger than the memory that it may take.
private func runLargeFile(_ bench: Bench) throws {
    let work = "a file of 1 GiB"
    guard bench.wants(work) else { return }
    let folder = try bench.folder.subfolder("large")
    let byteCount = bench.scaled(1 << 30)
    let path = "\(folder.path)/content"
    guard FileManager.default.createFile(atPath: path, contents: nil) else { throw BenchFailure("no file \(path)") }
    guard let file = fopen(path, "wb") else { throw BenchFailure("no file \(path)") }
    for start in stride(from: 0, to: byteCount, by: 8 << 20) {
        let piece = incompressible(min(8 << 20, byteCount - start), seed: UInt64(start))
        guard fwrite(piece, 1, piece.count, file) == piece.count else { throw BenchFailure("cannot write \(path)") }
    }
    fclose(file)
    let store = try Store.open(at: "\(folder.path)/db", options: Options(memoryBudget: 64 << 20))
    let blobs = try store.blobs()
    var id: BlobID?
    func measured(_ body: () throws -> Void) throws -> [Sample] {
        Memory.resetPeak()
        let before = Memory.peakByteCount
        let seconds = try secondsOf(body)
        let mebibyte = Double(1 << 20)
        return [
            Sample(
                operations: byteCount >> 20, seconds: seconds,
                figures: [
                    "peak MiB": Double(Memory.peakByteCount) / mebibyte, "before MiB": Double(before) / mebibyte,
                ])
        ]
    }
    try bench.compare(
        "\(work), put, per MiB",
        [Contender("ApusStore") { _ in try measured { id = try blobs.put(fileAt: path) } }])
    guard let id else { return }
    try bench.compare(
        "\(work), read in pieces, per MiB",
        [
            Contender("ApusStore") { _ in
                try measured {
                    try blobs.read(id) { piece in
                        keep(piece.byteCount)
                        return .next
                    }
                }
            }
        ])
    try store.close()
}

/// The memory of this process.
private enum Memory {
    /// The peak is counted from now on.
    static func resetPeak() {
        guard let file = fopen("/proc/self/clear_refs", "w") else { return }
        fputs("5", file)
        fclose(file)
    }

    static var peakByteCount: Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        for line in status.split(separator: "\n") where line.hasPrefix("VmHWM:") {
            return (line.split(separator: " ").compactMap { Int($0) }.first ?? 0) << 10
        }
        return 0
    }
}
