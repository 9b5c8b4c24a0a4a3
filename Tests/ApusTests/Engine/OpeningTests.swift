// What `open` says of directories that it cannot or must not open.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

@Suite("Opening")
struct OpeningTests {
    let fixture = EngineFixture()

    private func write(_ path: String, _ text: String = "hello") throws {
        let file = try fixture.disk.open(path, .create)
        var text = text
        let written: Result<Void, IOError> = text.withUTF8 { buffer in
            do throws(IOError) {
                return .success(try file.write(UnsafeRawBufferPointer(buffer), at: 0))
            } catch {
                return .failure(error)
            }
        }
        try written.get()
        try file.close()
    }

    @Test("a directory with other files is left as it is")
    func foreignDirectory() throws {
        try fixture.disk.createDirectory("/db")
        try write("/db/letter.txt")
        let error = expectError(.notADatabase) { _ = try fixture.open() }
        #expect(error?.file == "/db")
        #expect(try fixture.names() == ["letter.txt"])
    }

    @Test("a file is not a database")
    func file() throws {
        try write("/db")
        expectError(.notADatabase) { _ = try fixture.open() }
        fixture.options.isReadOnly = true
        expectError(.notADatabase) { _ = try fixture.open() }
    }

    @Test("read-only, or with createIfMissing off, nothing is created")
    func missing() throws {
        fixture.options.createIfMissing = false
        expectError(.notFound, "absent") { _ = try fixture.open() }
        fixture.options.createIfMissing = true
        fixture.options.isReadOnly = true
        expectError(.notFound, "absent, read-only") { _ = try fixture.open() }
        #expect(try fixture.disk.status(of: "/db") == nil)
        try fixture.disk.createDirectory("/db")
        expectError(.notFound, "empty, read-only") { _ = try fixture.open() }
        fixture.options.isReadOnly = false
        fixture.options.createIfMissing = false
        expectError(.notFound, "empty") { _ = try fixture.open() }
        #expect(try fixture.names().isEmpty)
    }

    @Test("a directory whose parent is missing cannot be created")
    func missingParent() throws {
        let error = expectError(.io) {
            _ = try Database.open(at: "/no/such/place", environment: fixture.machine.environment)
        }
        #expect(error?.systemCode == ErrorCode.notFound)
    }

    @Test("a database that is open says who has it open")
    func locked() throws {
        let database = try fixture.open()
        for isReadOnly in [false, true] {
            fixture.options.isReadOnly = isReadOnly
            let error = expectError(.locked) { _ = try fixture.open() }
            #expect(error?.message.contains(currentProcessDescription) == true)
        }
        try database.close()
        let reader = try fixture.open()
        let second = try fixture.open()
        #expect(second.keyspaceNames == reader.keyspaceNames)
        fixture.options.isReadOnly = false
        expectError(.locked) { _ = try fixture.open() }
        try reader.close()
        try second.close()
        try fixture.open().close()
    }

    @Test("a directory without the right to write opens read-only")
    func notPermitted() throws {
        let database = try fixture.open()
        try database.keyspace("a").put("key", "value")
        try database.close()
        for code in [ErrorCode.notPermitted, ErrorCode.readOnlyFileSystem] {
            fixture.options.isReadOnly = false
            fixture.disk.inject(Fault(.fail(code), times: nil) { $0.isMutation })
            let error = expectError(.readOnly) { _ = try fixture.open() }
            #expect(error?.systemCode == code)
            fixture.options.isReadOnly = true
            let reader = try fixture.open()
            let keyspace = try reader.existingKeyspace("a")
            #expect(try keyspace.get("key") == Array("value".utf8))
            expectError(.readOnly, "put") { try keyspace.put("key", "value") }
            expectError(.readOnly, "create") { _ = try reader.keyspace("b") }
            expectError(.readOnly, "change") {
                _ = try reader.keyspace("a", options: KeyspaceOptions(filterBitsPerKey: 3))
            }
            expectError(.readOnly, "drop") { try reader.dropKeyspace("a") }
            expectError(.readOnly, "flush") { try reader.flush() }
            expectError(.readOnly, "compact") { try reader.compact() }
            expectError(.readOnly, "synchronize") { try reader.synchronize() }
            expectError(.readOnly, "transaction") { try reader.transaction { $0.put("key", "value", in: keyspace) } }
            #expect(try reader.verify().isSound)
            try reader.close()
            fixture.disk.removeFaults()
        }
    }

    @Test("read-only sees what only the log has, and changes nothing")
    func readOnlyAfterCrash() throws {
        fixture.options.durability = .relaxed
        var database: Database? = try fixture.open()
        var keyspace: Keyspace? = try database!.keyspace("a")
        for number in 0..<200 { try keyspace!.put("key \(number)", "value \(number)") }
        fixture.disk.inject(Fault(.stop))
        try? database!.close()
        keyspace = nil
        database = nil
        fixture.disk.removeFaults()
        fixture.machine.restart()
        let before = try fixture.names()
        fixture.options.isReadOnly = true
        let reader = try fixture.open()
        #expect(try reader.existingKeyspace("a").count() == 200)
        #expect(try reader.verify().isSound)
        try reader.close()
        #expect(try fixture.names() == before)
    }

    @Test("read-only, a log larger than memtables are changes nothing either")
    func readOnlyAfterCrashWithMuchLog() throws {
        fixture.options.durability = .relaxed
        do {
            let database = try fixture.open()
            let keyspace = try database.keyspace("a")
            for number in 0..<200 { try keyspace.put("key \(number)", [UInt8](repeating: 1, count: 100)) }
            fixture.disk.inject(Fault(.stop))
            try? database.close()
        }
        fixture.disk.removeFaults()
        fixture.machine.restart()
        let before = try fixture.names()
        // Memory was larger when the log was written.
        fixture.options.tuning!.writeBufferByteCount = 64
        fixture.options.isReadOnly = true
        let reader = try fixture.open()
        #expect(try reader.existingKeyspace("a").count() == 200)
        #expect(reader.statistics.memtableByteCount > 4 * 64)
        #expect(try fixture.names() == before)
        try reader.close()
        #expect(try fixture.names() == before)
    }

    @Test("a database of a newer version is refused, whatever file says so", arguments: [false, true])
    func newerVersion(isClosed: Bool) throws {
        do {
            let database = try fixture.open()
            let keyspace = try database.keyspace("a", options: KeyspaceOptions(valueSeparationThreshold: 100))
            try keyspace.put("large", [UInt8](repeating: 1, count: 200))
            try database.flush()
            try keyspace.put("key", "value")
            if !isClosed { fixture.disk.inject(Fault(.stop)) }
            try? database.close()
        }
        fixture.disk.removeFaults()
        fixture.machine.restart()
        fixture.options.isReadOnly = true
        var patched: Set<String> = []
        for name in try fixture.names() {
            let old = try fixture.bytes(of: name)
            guard !old.prefix(64).allSatisfy({ $0 == 0 }), let newer = Self.asNewerVersion(name, old) else { continue }
            try fixture.overwrite(name, with: newer)
            if name.hasSuffix(".blob") {
                // Records stand for themselves, so a value can be read; verifying looks at the header.
                let database = try fixture.open()
                let problems = try database.verify().problems
                #expect(!problems.isEmpty && problems.allSatisfy { $0.file == "/db/\(name)" }, "\(problems)")
                try database.close()
            } else {
                let error = expectError(.unsupportedFormat, name) {
                    _ = try fixture.open().existingKeyspace("a").entries()
                }
                #expect(error?.file == "/db/\(name)")
            }
            patched.insert(String(name.split(separator: ".").last!))
            try fixture.overwrite(name, with: old)
        }
        #expect(
            patched
                == (isClosed
                    ? ["CURRENT", "manifest", "blob", "table"] : ["CURRENT", "manifest", "log", "blob", "table"]))
        #expect(try fixture.open().existingKeyspace("a").get("key") == Array("value".utf8))
    }

    /// The file's bytes as version 2 would write them; nil if the file has no version.
    private static func asNewerVersion(_ name: String, _ old: [UInt8]) -> [UInt8]? {
        var bytes = old
        switch FileName(name) {
        case .current:
            var text = String(decoding: old, as: UTF8.self).split(separator: "\n").map(String.init)
            text[0] = "apus-current 2"
            let checked = text.dropLast().joined(separator: "\n") + "\n"
            let digits = String(Array(checked.utf8).withUnsafeBytes { CRC32C.checksum($0) }, radix: 16)
            return Array((checked + String(repeating: "0", count: 8 - digits.count) + digits + "\n").utf8)
        case .manifest, .log:
            bytes[4] = 2
            bytes.replaceSubrange(60..<64, with: maskedChecksum(Array(bytes[..<60])))
            return bytes
        case .blob:
            bytes[8] = 2
            bytes.replaceSubrange(20..<24, with: maskedChecksum(Array(bytes[..<20])))
            return bytes
        case .table:
            // The footer's checksum covers where it stands, too.
            let footer = bytes.count - TableFormat.footerByteCount
            bytes[footer + 60] = 2
            let place = (0..<8).map { UInt8(truncatingIfNeeded: footer >> (8 * $0)) }
            let covered = place + bytes[footer..<(footer + 56)] + bytes[(footer + 60)...]
            bytes.replaceSubrange((footer + 56)..<(footer + 60), with: maskedChecksum(covered))
            return bytes
        default: return nil
        }
    }

    private static func maskedChecksum(_ bytes: [UInt8]) -> [UInt8] {
        let sum = bytes.withUnsafeBytes { CRC32C.checksum($0) }
        let mask = (sum >> 15 | sum << 17) &+ 0xA282_EAD8
        return (0..<4).map { UInt8(truncatingIfNeeded: mask >> (8 * UInt32($0))) }
    }
}
