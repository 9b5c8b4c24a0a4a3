// What tells of the database's structure: manifests, version edits and CURRENT.

@testable import Apus

extension FuzzTarget {
    static let manifest = FuzzTarget(
        name: "manifest",
        summary: "manifests: read strictly and for salvage; the state survives being written anew",
        run: { runManifest($0) },
        seeds: manifestSeeds
    )

    static let edit = FuzzTarget(
        name: "edit",
        summary: "version edits: what decodes is encoded to what decodes to the same",
        maximumByteCount: 1024,
        run: { bytes in
            do throws(DecodingFailure) {
                let edit = try VersionEdit(decoding: bytes)
                expectRoundTrip(edit)
            } catch {}
        },
        seeds: {
            Dictionary(uniqueKeysWithValues: sampleEdits.enumerated().map { ("\($0.offset)", $0.element.encoded) })
        }
    )

    static let current = FuzzTarget(
        name: "current",
        summary: "CURRENT: what is accepted is exactly what is written",
        maximumByteCount: 400,
        run: { runCurrent($0) },
        seeds: {
            let open = CurrentFile(manifest: 17, state: .open, manifestByteCount: 1832, lastSequence: .max)
            let clean = CurrentFile(manifest: 1, state: .clean, manifestByteCount: 0, lastSequence: .zero)
            return ["open": [1] + open.encoded, "clean": [1] + clean.encoded, "untouched": [0] + open.encoded]
        }
    )
}

private func expectRoundTrip(_ edit: VersionEdit) {
    let encoded = edit.encoded
    do throws(DecodingFailure) {
        let again = try encoded.withUnsafeBufferPointer { bytes throws(DecodingFailure) in
            try VersionEdit(decoding: UnsafeRawBufferPointer(bytes))
        }
        expect(again == edit, "an edit is decoded as it was encoded")
        expect(again.encoded == encoded, "an edit has one encoding")
    } catch {
        violated("an edit that was encoded decodes: \(error.what)")
    }
}

// MARK: - Manifests

/// flags: u8 (1 = put checksums right, 2 = not the identity, 4 = CURRENT says that it was closed)
/// │ durable length: u16 │ last sequence: u8 │ the file
private func runManifest(_ bytes: UnsafeRawBufferPointer) {
    var source = ByteSource(bytes)
    let flags = source.byte()
    let current = CurrentFile(
        manifest: 3,
        state: flags & 4 != 0 ? .clean : .open,
        manifestByteCount: UInt64(source.below(1 << 16)),
        lastSequence: SequenceNumber(UInt64(source.byte()))
    )
    var file = source.rest()
    if flags & 1 != 0 { Frames.repair(&file, .manifest, 3, isOurs: flags & 2 == 0) }
    let disk = FuzzDisk()
    disk.put(.manifest(3), file)
    var sound: ManifestState?
    do throws(ApusError) {
        let content = try ManifestReader.read(current, in: FuzzDisk.directory, on: disk.disk, mode: .strict)
        expect(content.losses.isEmpty, "nothing is lost of a manifest that is sound")
        expectRewritable(content.state)
        sound = content.state
    } catch {}
    do throws(ApusError) {
        let content = try ManifestReader.read(current, in: FuzzDisk.directory, on: disk.disk, mode: .salvage)
        if let sound { expect(content.state == sound, "a sound manifest is salvaged as it is read") }
    } catch {
        expect(sound == nil, "a sound manifest can be salvaged: \(error)")
    }
    disk.expectDumps(.manifest(3))
    disk.expectClosed()
}

/// Written anew, in small edits, the state is the same.
private func expectRewritable(_ state: ManifestState) {
    var again = ManifestState(databaseID: state.databaseID)
    for edit in state.snapshot(byteCount: 64) {
        expectRoundTrip(edit)
        must("a state can be built from its own edits") { try again.apply(edit) }
    }
    expect(again.keyspaces == state.keyspaces, "a manifest written anew has the same keyspaces")
    expect(again.logs == state.logs, "a manifest written anew has the same logs")
    expect(again.nextFileNumber == state.nextFileNumber, "a manifest written anew has the same file numbers")
    expect(again.nextKeyspaceID == state.nextKeyspaceID, "a manifest written anew has the same keyspace ids")
    expect(again.lastSequence == state.lastSequence, "a manifest written anew has the same last sequence")
}

// MARK: - CURRENT

/// flags: u8 (1 = put the checksum right) │ the file
private func runCurrent(_ bytes: UnsafeRawBufferPointer) {
    var source = ByteSource(bytes)
    let flags = source.byte()
    var file = source.rest()
    if flags & 1 != 0, file.count > 9 {
        let start = file.count - 9
        let digits = Array(String(Frames.checksum(file[..<start], seed: 0), radix: 16).utf8)
        file.replaceSubrange(start..., with: [UInt8](repeating: 0x30, count: 8 - digits.count) + digits + [0x0A])
    }
    let disk = FuzzDisk()
    disk.put(.current, file)
    do throws(ApusError) {
        let current = try CurrentFile(decoding: file, path: "CURRENT")
        expect(current.encoded == file, "CURRENT is accepted only as it is written")
        let read = try CurrentFile.read(in: FuzzDisk.directory, on: disk.disk)
        expect(read == current, "CURRENT is read as it is decoded")
    } catch {}
    disk.expectDumps(.current)
    disk.expectClosed()
}

// MARK: - Seeds

private let sampleTable = TableMetadata(
    number: 9,
    byteCount: 4096,
    checksum: 0xDEAD_BEEF,
    smallest: Array("a".utf8),
    largest: Array("m".utf8),
    largestIsExclusive: true,
    smallestSequence: SequenceNumber(1),
    largestSequence: SequenceNumber(300),
    entryCount: 250,
    deletionCount: 3,
    rangeDeletionCount: 1,
    rawByteCount: 9000,
    createdAt: 1_700_000_000_000,
    earliestExpiry: 0,
    blobReferences: [BlobFileShare(file: 8, byteCount: 900, valueCount: 2)]
)

private let sampleEdits: [VersionEdit] = {
    var other = sampleTable
    other.number = 10
    other.smallest = Array("n".utf8)
    other.largest = Array("z".utf8)
    other.largestIsExclusive = false
    other.blobReferences = []
    var settings = KeyspaceSettings()
    settings.style = .fifo(maximumByteCount: 1 << 40, maximumAge: 1000)
    settings.mergeOperatorName = "apus.add"
    settings.timeToLive = 1000
    settings.isEphemeral = true
    let blob = BlobFileMetadata(number: 8, byteCount: 1000, checksum: 7, valueCount: 2, recordByteCount: 944)
    return [
        VersionEdit([
            .databaseID(Frames.databaseID), .nextFileNumber(20), .nextKeyspaceID(4), .lastSequence(SequenceNumber(300)),
            .keyspaceCreated(1, name: "default", KeyspaceSettings()), .logCreated(5, byteCount: 8192),
        ]),
        VersionEdit([
            .blobAdded(1, blob), .tableAdded(1, level: 0, sampleTable), .flushedSequence(1, SequenceNumber(300)),
        ]),
        VersionEdit([
            .tableRemoved(1, level: 0, 9), .tableAdded(1, level: 2, sampleTable), .tableAdded(1, level: 2, other),
        ]),
        VersionEdit([.keyspaceCreated(2, name: "zwei", settings), .keyspaceChanged(1, settings)]),
        VersionEdit([.logDeleted(5), .logCreated(11, byteCount: 8192), .keyspaceDropped(2)]),
        VersionEdit([
            .cleanClose(CleanClose(lastSequence: SequenceNumber(301), logNumber: 11, logByteCount: 640))
        ]),
    ]
}()

private let manifestSeeds: @Sendable () -> [String: [UInt8]] = {
    let frames = sampleEdits.enumerated().map { (sequence: UInt64($0.offset + 1), payload: $0.element.encoded) }
    let header = SegmentHeader(purpose: .manifest, number: 3, databaseID: Frames.databaseID, capacity: 0)
    let whole = Frames.file(header, .edit, frames)
    let open = Frames.file(header, .edit, Array(frames.dropLast()), padding: 64)
    let length = [UInt8(truncatingIfNeeded: whole.count), UInt8(whole.count >> 8)]
    return [
        "closed": [5] + length + [200] + whole, "open": [1, 64, 0, 0] + open, "untouched": [0, 64, 0, 0] + open,
        "short": [1, 64, 0, 0] + Frames.file(header, .edit, Array(frames.prefix(1))),
    ]
}
