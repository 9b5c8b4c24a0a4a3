// A database on a simulated machine, for tests of one behaviour each.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

/// Everything a test of the whole engine needs; small sizes, so that little data reaches every level.
final class EngineFixture {
    static let directory = "/db"

    var machine: Simulation
    var options: Options

    var disk: SimulatedDisk { machine.disk }

    init(seed: UInt64 = 1, writeBufferByteCount: Int = 4_096) {
        machine = Simulation(seed: seed)
        options = Options(memoryBudget: 1 << 20)
        var tuning = Tuning(memoryBudget: 1 << 20)
        tuning.writeBufferByteCount = writeBufferByteCount
        tuning.blockByteCount = 256
        tuning.levels.baseByteCount = 4_096
        tuning.levels.tableByteCount = 2_048
        tuning.logSegmentByteCount = 8_192
        options.tuning = tuning
    }

    func open() throws(ApusError) -> Database {
        try Database.open(at: Self.directory, options: options, environment: machine.environment)
    }

    /// The file names in the directory, in order.
    func names() throws -> [String] {
        try disk.list(Self.directory).sorted()
    }

    func bytes(of name: String) throws -> [UInt8] {
        let file = try disk.open("\(Self.directory)/\(name)", .read)
        defer { try? file.close() }
        let count = Int(try file.byteCount())
        return try [UInt8](unsafeUninitializedCapacity: count) { buffer, read in
            read = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
        }
    }

    func remove(_ name: String) throws {
        try disk.remove("\(Self.directory)/\(name)")
    }

    func overwrite(_ name: String, with bytes: [UInt8]) throws {
        let file = try disk.open("\(Self.directory)/\(name)", .update)
        defer { try? file.close() }
        try file.truncate(to: UInt64(bytes.count))
        let written: Result<Void, IOError> = bytes.withUnsafeBytes { buffer in
            do throws(IOError) {
                return .success(try file.write(buffer, at: 0))
            } catch {
                return .failure(error)
            }
        }
        try written.get()
    }
}

/// The error that `body` throws; an issue is recorded if it throws none or one of another kind.
@discardableResult
func expectError(
    _ kind: ApusError.Kind, _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
) -> ApusError? {
    do {
        try body()
        Issue.record("\(what): no error, but \(kind) was expected", sourceLocation: sourceLocation)
    } catch let error as ApusError {
        if error.kind == kind { return error }
        Issue.record("\(what): \(error.kind) (\(error)) instead of \(kind)", sourceLocation: sourceLocation)
    } catch {
        Issue.record("\(what): \(error)", sourceLocation: sourceLocation)
    }
    return nil
}
