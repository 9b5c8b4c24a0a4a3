// Log segments: the frames, where they end, and what replay makes of one segment or of two in a chain.
//
// flags: u8 (1 = put checksums right, 2 = not the identity, 4 = two segments, 8 = closed cleanly)
// │ length of the first segment: u16, if two │ end: u16 and last sequence: u8, if closed │ the files

@testable import Apus

extension FuzzTarget {
    static let log = FuzzTarget(
        name: "log",
        summary: "log segments: frames, torn ends, the chain; replayed and salvaged",
        run: { LogCase($0).run() },
        seeds: LogCase.seeds
    )
}

private struct LogCase {
    private let disk = FuzzDisk()
    private var manifest = ManifestState(databaseID: Frames.databaseID)

    init(_ bytes: UnsafeRawBufferPointer) {
        var source = ByteSource(bytes)
        let flags = source.byte()
        let split = flags & 4 != 0 ? source.below(1 << 16) : 0
        let close =
            flags & 8 != 0
            ? CleanClose(
                lastSequence: SequenceNumber(0),
                logNumber: flags & 4 != 0 ? 6 : 5,
                logByteCount: UInt64(source.below(1 << 16))
            ) : nil
        let lastSequence = flags & 8 != 0 ? UInt64(source.byte()) : 0
        let files = source.rest()
        let parts = flags & 4 != 0 ? [Array(files.prefix(split)), Array(files.dropFirst(split))] : [files]
        for (index, part) in parts.enumerated() {
            let number = FileNumber(5 + index)
            var bytes = part
            if flags & 1 != 0 { Frames.repair(&bytes, .log, number, isOurs: flags & 2 == 0) }
            disk.put(.log(number), bytes)
            apply(.logCreated(number, byteCount: 0))
        }
        if var close {
            close.lastSequence = SequenceNumber(lastSequence)
            apply(.cleanClose(close))
        }
    }

    private mutating func apply(_ change: VersionEdit.Change) {
        must("apply \(change)") { try manifest.apply(VersionEdit([change])) }
    }

    private struct Replayed {
        var result: LogReplay.Result
        /// Stands for every batch, in order.
        var digest: UInt32 = 0
    }

    func run() {
        let strict = replay(.strict)
        let salvaged = replay(.salvage)
        switch (strict, salvaged) {
        case (.success(let strict), .success(let salvaged)):
            expect(salvaged.result == strict.result, "a sound log is salvaged as it is replayed")
            expect(salvaged.digest == strict.digest, "a sound log has the same batches when it is salvaged")
        case (.success, .failure(let error)):
            violated("a log that replays can be salvaged: \(error)")
        case (.failure, .failure(let error)):
            expect(error.kind == .unsupportedFormat, "salvage goes on behind damage: \(error.kind) \(error)")
        case (.failure, .success): break
        }
        disk.expectDumps(.log(5))
        disk.expectClosed()
    }

    private func replay(_ mode: RecoveryMode) -> Result<Replayed, ApusError> {
        var digest: UInt32 = 0
        var last = SequenceNumber.zero
        let replay = LogReplay(directory: FuzzDisk.directory, fileSystem: disk.disk, manifest: manifest, mode: mode)
        do throws(ApusError) {
            let result = try replay.run { (first, payload) throws(ApusError) in
                expect(first > last, "batches ascend")
                last = first
                digest = CRC32C.checksum(payload, seed: digest)
                do throws(DecodingFailure) {
                    var batch = try BatchCursor(payload)
                    while try batch.next() != nil { last = max(last, first.advanced(by: batch.count - 1)) }
                } catch {}
            }
            return .success(Replayed(result: result, digest: digest))
        } catch {
            return .failure(error)
        }
    }

    // MARK: - Seeds

    static let seeds: @Sendable () -> [String: [UInt8]] = {
        let first = batchBytes([(.value, 1, Array("apple".utf8), Array("red".utf8))])
        let second = batchBytes([
            (.deletion, 1, [0x61], []), (.rangeDeletion, 2, [0x61], [0x63]),
            (.expiringValue, 2, [0xFF, 0], [9, 0, 0, 0, 0, 0, 0, 0, 0x61]),
            (.mergeOperand, 3, [0x62], [UInt8](repeating: 7, count: 24)),
        ])
        let header = SegmentHeader(purpose: .log, number: 5, databaseID: Frames.databaseID, capacity: 0)
        let one = Frames.file(header, .batch, [(1, first), (2, second), (6, first)], padding: 64)
        var next = SegmentHeader(purpose: .log, number: 6, databaseID: Frames.databaseID, capacity: 0)
        let sealed = Frames.file(header, .batch, [(1, first), (2, second)])
        next.previousNumber = 5
        next.previousByteCount = UInt64(sealed.count)
        next.previousLastSequence = SequenceNumber(5)
        let two = Frames.file(next, .batch, [(6, second), (10, first)], padding: 32)
        var torn = one
        torn.setInteger(UInt32.max, at: SegmentHeader.byteCount + 4)
        let split = [UInt8(truncatingIfNeeded: sealed.count), UInt8(sealed.count >> 8)]
        let end = [UInt8(truncatingIfNeeded: one.count - 64), UInt8((one.count - 64) >> 8)]
        return [
            "one": [1] + one, "untouched": [0] + one, "torn": [1] + torn, "two": [5] + split + sealed + two,
            "closed": [9] + end + [6] + one, "unused": [1] + [UInt8](repeating: 0, count: 128), "empty": [1],
        ]
    }
}
