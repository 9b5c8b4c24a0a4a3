// Blob files: walked, verified, and read by references.
//
// flags: u8 (1 = put checksums right, 2 = not the file's number)
// │ a reference: offset, stored bytes, value bytes: number each │ value count: u8 │ the file

import ApusIO
import ApusSimulation

@testable import Apus

extension FuzzTarget {
    static let blob = FuzzTarget(
        name: "blob",
        summary: "blob files: walked, verified, read by references",
        run: { runBlob($0) },
        seeds: blobSeeds
    )
}

private let number: FileNumber = 9

private func runBlob(_ bytes: UnsafeRawBufferPointer) {
    var source = ByteSource(bytes)
    let flags = source.byte()
    let reference = BlobReference(
        file: number,
        offset: source.number(),
        storedByteCount: UInt32(truncatingIfNeeded: source.number()),
        valueByteCount: UInt32(truncatingIfNeeded: source.number())
    )
    let valueCount = UInt64(source.byte())
    var file = source.rest()
    if flags & 1 != 0 { repair(&file, isOurs: flags & 2 == 0) }
    let disk = FuzzDisk()
    disk.put(.blob(number), file)
    let path = disk.path(.blob(number))
    do {
        let store = BlobStore(pool: FilePool(fileSystem: disk.disk)) { _ in path }
        do throws(ApusError) { _ = try store.value(of: reference) } catch {}
        let metadata = BlobFileMetadata(
            number: number,
            byteCount: UInt64(file.count),
            checksum: Frames.checksum(file[...], seed: 0),
            valueCount: valueCount,
            recordByteCount: 0
        )
        var problems: [ApusError] = []
        do throws(ApusError) {
            try metadata.verify(fileSystem: disk.disk, path: path) { problems.append($0) }
            try walk(disk, store, isSound: problems.isEmpty)
        } catch {
            // With a checksum that is right, another version is one that is not known, and nothing more can be said.
            expect(error.kind == .unsupportedFormat, "damage of a blob file is reported: \(error)")
        }
        store.forget(number)
    }
    disk.expectDumps(.blob(number))
    disk.expectClosed()
}

/// What the walk finds is what references lead to.
private func walk(_ disk: FuzzDisk, _ store: BlobStore, isSound: Bool) throws(ApusError) {
    let path = disk.path(.blob(number))
    let file = must("open") { try disk.disk.open(path, .read) }
    defer { try? file.close() }
    var walk = try BlobWalk(file: file, path: path, number: number)
    try walk.run { finding throws(ApusError) in
        switch finding {
        case .damage(let error): expect(!isSound, "a walk finds no damage in a file that verifies: \(error)")
        case .reserve: expect(!isSound, "a walk finds no reserve in a file that verifies")
        case .record(let record, let offset):
            let found = try store.value(
                of: BlobReference(
                    file: number,
                    offset: offset,
                    storedByteCount: UInt32(record.header.recordByteCount),
                    valueByteCount: record.header.valueByteCount
                )
            )
            let value = try record.value(file: path, offset: offset)
            expect(found == value, "a reference leads to the value that the walk finds")
            expect(value.count == Int(record.header.valueByteCount), "a value has the length that its record says")
        }
    }
}

/// Puts right checksums over whatever the bytes say, as far as records follow one another.
private func repair(_ bytes: inout [UInt8], isOurs: Bool) {
    guard bytes.count >= BlobFormat.headerByteCount else { return }
    if isOurs {
        bytes.replaceSubrange(..<BlobFormat.headerByteCount, with: BlobFormat.header(number))
    } else {
        bytes.setInteger(CRC32C.mask(Frames.checksum(bytes[..<20], seed: 0)), at: 20)
    }
    let hasFooter = bytes.count >= BlobFormat.headerByteCount + BlobFormat.footerByteCount
    let end = hasFooter ? bytes.count - BlobFormat.footerByteCount : bytes.count
    var offset = BlobFormat.headerByteCount
    var valueCount: UInt64 = 0
    while end - offset >= BlobFormat.recordHeaderByteCount {
        let body = offset + BlobFormat.recordHeaderByteCount
        let keyCount = Int(bytes.integer(at: offset + 8, UInt32.self))
        let storedCount = Int(bytes.integer(at: offset + 12, UInt32.self))
        guard keyCount + storedCount <= end - body else { break }
        let next = body + keyCount + storedCount
        bytes.setInteger(Frames.checksum(bytes[body..<next], seed: 0), at: offset + 4)
        let place = withUnsafeBytes(of: (number.littleEndian, UInt64(offset).littleEndian)) { CRC32C.checksum($0) }
        bytes.setInteger(CRC32C.mask(Frames.checksum(bytes[(offset + 4)..<body], seed: place)), at: offset)
        valueCount += 1
        offset = next
    }
    if hasFooter, isOurs {
        bytes.replaceSubrange(end..., with: BlobFormat.footer(number, offset: UInt64(end), valueCount: valueCount))
    }
}

private let blobSeeds: @Sendable () -> [String: [UInt8]] = {
    func file(_ codec: Codec) -> [UInt8] {
        let disk = FuzzDisk()
        let path = disk.path(.blob(number))
        return must("write a blob file") {
            let writer = try BlobWriter(fileSystem: disk.disk, path: path, number: number, codec: codec)
            for index in 0..<4 {
                let key = Array("key \(index)".utf8)
                let value = [UInt8](repeating: UInt8(index), count: 40 * index) + Array("value \(index)".utf8)
                _ = try key.withUnsafeBytes { key in try value.withUnsafeBytes { try writer.append(key, $0) } }
            }
            _ = try writer.finish()
            return try disk.disk.content(FileName.blob(number).string)
        }
    }
    let reference: [UInt8] = [1, 24, 1, 36, 1, 7]
    return [
        "plain": [1] + reference + [4] + file(.none), "lz4": [1] + reference + [4] + file(.lz4),
        "zstd": [1] + reference + [4] + file(.zstd), "untouched": [0] + reference + [4] + file(.none),
        "empty": [1] + reference + [0] + Array(file(.none).prefix(BlobFormat.headerByteCount)),
    ]
}
