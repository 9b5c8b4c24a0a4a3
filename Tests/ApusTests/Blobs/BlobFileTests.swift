// Blob files: what is written comes back, damage anywhere is noticed, and nothing else is.

import ApusIO
import Synchronization
import Testing

@testable import Apus

@Suite struct BlobFileTests {
    private let disk = MemoryFileSystem()
    private let number: FileNumber = 42
    private var path: String { FileName.blob(number).path(in: "db") }

    private var store: BlobStore {
        BlobStore(pool: FilePool(fileSystem: disk, limit: 4)) { FileName.blob($0).path(in: "db") }
    }

    private func write(
        _ values: [[UInt8]],
        codec: Codec = .lz4
    ) throws -> (references: [BlobReference], metadata: BlobFileMetadata) {
        disk[path] = nil
        let writer = try BlobWriter(fileSystem: disk, path: path, number: number, codec: codec)
        var references: [BlobReference] = []
        for (index, value) in values.enumerated() {
            try [UInt8]("key \(index)").withUnsafeBytes { key in
                try value.withUnsafeBytes { references.append(try writer.append(key, $0)) }
            }
        }
        return (references, try writer.finish())
    }

    private func damage(_ metadata: BlobFileMetadata) throws -> [ApusError] {
        var found: [ApusError] = []
        try metadata.verify(fileSystem: disk, path: path) { found.append($0) }
        return found
    }

    @Test(arguments: Codec.allCases) func valuesComeBackAsTheyWere(_ codec: Codec) throws {
        var random = SeededGenerator(seed: 5)
        let values: [[UInt8]] = [0, 1, 100, 4096, 70_000, 300_000].flatMap { count in
            [[UInt8](repeating: 9, count: count), (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }]
        }
        let (references, metadata) = try write(values, codec: codec)
        let store = store
        for (value, reference) in zip(values, references) {
            #expect(try store.value(of: reference) == value)
            #expect(reference.valueByteCount == value.count)
        }
        #expect(metadata.valueCount == UInt64(values.count))
        #expect(metadata.recordByteCount == references.reduce(0) { $0 + UInt64($1.storedByteCount) })
        #expect(metadata.byteCount == UInt64(disk[path]!.count))
        #expect(try damage(metadata) == [])
        if codec != .none { #expect(references[2 * 4].storedByteCount < 2000, "70,000 equal bytes shrink") }
    }

    @Test func anotherFormatVersionIsRefused() throws {
        let (references, _) = try write([[UInt8](repeating: 7, count: 200)])
        var bytes = disk[path]!
        bytes[8] = 2
        bytes.replaceSubrange(20..<24, with: [])
        var header = Array(bytes[..<20])
        header.appendLittleEndian(CRC32C.mask(header.withUnsafeBytes { CRC32C.checksum($0) }))
        disk[path] = header + bytes[20...]
        let error = #expect(throws: ApusError.self) { try store.value(of: references[0]) }
        #expect(error?.kind == .unsupportedFormat)
    }

    @Test func aFlippedBitAnywhereIsNoticed() throws {
        let values = [[UInt8]("one"), [UInt8](repeating: 7, count: 200), [UInt8]("three")]
        let (references, metadata) = try write(values)
        let intact = disk[path]!
        var ranges: [Range<Int>] = []
        for reference in references {
            ranges.append(Int(reference.offset)..<Int(reference.offset) + Int(reference.storedByteCount))
        }
        for position in intact.indices {
            for bit in [0, 3, 7] {
                var bytes = intact
                bytes[position] ^= 1 << UInt8(bit)
                disk[path] = bytes
                #expect(try !damage(metadata).isEmpty, "byte \(position)")
                for (index, reference) in references.enumerated() {
                    if ranges[index].contains(position) {
                        let error = #expect(throws: ApusError.self) { try store.value(of: reference) }
                        #expect(error?.kind == .corruption && error?.file == path)
                    } else {
                        #expect(try store.value(of: reference) == values[index])
                    }
                }
            }
        }
    }

    @Test func aFileThatIsTooShortOrTooLongIsNoticed() throws {
        let (references, metadata) = try write([[UInt8]("one"), [UInt8]("two")])
        let intact = disk[path]!
        for count in 0..<intact.count {
            disk[path] = Array(intact[..<count])
            #expect(try !damage(metadata).isEmpty, "\(count) bytes")
            if count < Int(references[1].offset) + Int(references[1].storedByteCount) {
                #expect(throws: ApusError.self) { try store.value(of: references[1]) }
            }
        }
        disk[path] = intact + [0]
        #expect(try !damage(metadata).isEmpty)
    }

    @Test func aRecordInTheWrongPlaceIsNoValue() throws {
        let (references, metadata) = try write([[UInt8]("one"), [UInt8]("two")])
        let intact = disk[path]!
        let (first, second) = (Int(references[0].offset), Int(references[1].offset))
        let count = Int(references[0].storedByteCount)
        // Two valid records of one length, swapped.
        var swapped = intact
        swapped.replaceSubrange(first..<(first + count), with: intact[second..<(second + count)])
        swapped.replaceSubrange(second..<(second + count), with: intact[first..<(first + count)])
        disk[path] = swapped
        for reference in references { #expect(throws: ApusError.self) { try store.value(of: reference) } }
        #expect(try !damage(metadata).isEmpty)
        // The whole file under another number.
        disk[FileName.blob(43).path(in: "db")] = intact
        var stray = references[0]
        stray.file = 43
        #expect(throws: ApusError.self) { try store.value(of: stray) }
    }

    @Test func aWrongReferenceIsAnErrorAndAllocatesNothingLarge() throws {
        let (references, _) = try write([[UInt8](repeating: 1, count: 100)], codec: .none)
        let store = store
        var random = SeededGenerator(seed: 11)
        for _ in 0..<500 {
            var reference = references[0]
            switch Int.random(in: 0..<3, using: &random) {
            case 0: reference.offset = UInt64.random(in: 0...(.max), using: &random)
            case 1: reference.storedByteCount = UInt32.random(in: 0...(.max), using: &random)
            default: reference.valueByteCount = UInt32.random(in: 0...(.max), using: &random)
            }
            guard reference != references[0] else { continue }
            let error = #expect(throws: ApusError.self) { try store.value(of: reference) }
            #expect(error?.kind == .corruption)
        }
    }

    @Test func aMissingFileIsAnErrorThatNamesIt() {
        let reference = BlobReference(file: 7, offset: 24, storedByteCount: 40, valueByteCount: 3)
        let error = #expect(throws: ApusError.self) { try store.value(of: reference) }
        #expect(error?.file == FileName.blob(7).path(in: "db"))
    }

    @Test func aWalkGoesOnBehindDamage() throws {
        let values = (0..<10).map { [UInt8](repeating: UInt8($0), count: 30 + $0) }
        let (references, _) = try write(values, codec: .none)
        var bytes = disk[path]!
        bytes[Int(references[4].offset) + 2] ^= 0xFF
        bytes[Int(references[6].offset) + 40] ^= 0xFF
        disk[path] = bytes
        let file = try disk.open(path, .read)
        var walk = try BlobWalk(file: file, path: path, number: number)
        var found: [UInt64] = []
        var damaged: [UInt64?] = []
        try walk.run { finding throws(ApusError) in
            switch finding {
            case .record(_, let offset): found.append(offset)
            case .reserve: Issue.record("the file has no reserve")
            case .damage(let error): damaged.append(error.offset)
            }
        }
        let whole = references.indices.filter { $0 != 4 && $0 != 6 }.map { references[$0].offset }
        #expect(found == whole)
        #expect(damaged.prefix(2) == [references[4].offset, references[6].offset])
    }

    @Test func manyFilesAreReadThroughFewDescriptors() throws {
        let pool = FilePool(fileSystem: disk, limit: 3)
        let store = BlobStore(pool: pool) { FileName.blob($0).path(in: "db") }
        var references: [BlobReference] = []
        for number in FileNumber(1)...20 {
            let writer = try BlobWriter(
                fileSystem: disk,
                path: FileName.blob(number).path(in: "db"),
                number: number,
                codec: .none
            )
            try [UInt8]("k").withUnsafeBytes { key in
                try [UInt8("\(number)".utf8.count)].withUnsafeBytes { references.append(try writer.append(key, $0)) }
            }
            _ = try writer.finish()
        }
        for _ in 0..<3 {
            for reference in references {
                #expect(try store.value(of: reference) == [UInt8("\(reference.file)".utf8.count)])
            }
        }
        #expect(pool.openCount <= 3)
        for reference in references { store.forget(reference.file) }
        #expect(pool.openCount == 0)
    }

    @Test func theLayoutIsFrozen() throws {
        let (_, metadata) = try write([[UInt8]("value")], codec: .none)
        let bytes = disk[path]!
        #expect(metadata.byteCount == 24 + 24 + 5 + 5 + 32)
        #expect(Array(bytes[..<8]) == [UInt8]("APUSBLOB"))
        #expect(Array(bytes[8..<20]) == [1, 0, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes[32..<48]) == [5, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes[48..<58]) == [UInt8]("key 0value"))
        #expect(Array(bytes[58..<66]) == [1, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes[66..<74]) == [34, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes.suffix(4)) == [UInt8]("BEND"))
    }

    @Test func everyFailingCallOfTheWriterIsReported() throws {
        let failing = FailingFileSystem(disk)
        func attempt() throws -> BlobFileMetadata {
            disk[path] = nil
            let writer = try BlobWriter(fileSystem: failing, path: path, number: number, codec: .none)
            do {
                let value = [UInt8](repeating: 1, count: 100_000)
                try value.withUnsafeBytes { value in
                    for _ in 0..<3 { _ = try writer.append(value, value) }
                }
                return try writer.finish()
            } catch {
                writer.abandon()
                throw error
            }
        }
        failing.fail(at: nil)
        _ = try attempt()
        let calls = failing.callCount
        for call in 0..<calls {
            failing.fail(at: call)
            #expect(throws: ApusError.self, "call \(call)") { try attempt() }
            #expect(disk.openCount.load(ordering: .relaxed) == 0)
        }
    }
}
