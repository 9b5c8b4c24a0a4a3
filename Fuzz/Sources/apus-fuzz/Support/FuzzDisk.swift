// A simulated disk with one directory, for decoders of files.

import ApusIO
import ApusSimulation

@testable import Apus

struct FuzzDisk {
    static let directory = "/db"
    let disk = SimulatedDisk(seed: 1)

    init() {
        must("create the directory") { try disk.createDirectory(Self.directory) }
    }

    func put(_ name: FileName, _ bytes: [UInt8]) {
        must("write \(name.string)") { try disk.put(name.string, bytes) }
    }

    func path(_ name: FileName) -> String { name.path(in: Self.directory) }

    /// After everything that read has gone.
    func expectClosed() {
        expect(disk.openFileCount == 0, "every file that was opened is closed")
    }

    /// Explaining a file never fails for what is in it, except that it may be of another version.
    func expectDumps(_ name: FileName) {
        do throws(ApusError) {
            try DatabaseFile.dump(path(name), environment: environment) { _ in }
        } catch {
            expect(error.kind == .unsupportedFormat, "a dump explains damage: \(error.kind) \(error)")
        }
    }

    private var environment: Environment {
        var environment = Simulation(seed: 1).environment
        environment.fileSystem = disk
        return environment
    }
}

extension SimulatedDisk {
    /// Replaces the content of a file of the directory, or makes the file.
    func put(_ name: String, _ bytes: [UInt8]) throws {
        let path = "\(FuzzDisk.directory)/\(name)"
        let file = try open(path, try status(of: path) == nil ? .create : .update)
        defer { try? file.close() }
        try file.truncate(to: 0)
        if !bytes.isEmpty { try file.write(bytes, at: 0) }
    }

    func content(_ name: String) throws -> [UInt8] {
        let file = try open("\(FuzzDisk.directory)/\(name)", .read)
        defer { try? file.close() }
        let count = Int(try file.byteCount())
        return try [UInt8](unsafeUninitializedCapacity: count) { buffer, read in
            read = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
        }
    }
}
