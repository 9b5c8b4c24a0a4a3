// A store on a simulated machine, whose crashes and clock a test controls.

import Apus
import ApusIO
import ApusSimulation

@testable import ApusStore

final class StoreFixture {
    static let directory = "/store"

    var machine: Simulation
    var options = Options(memoryBudget: 1 << 20)

    init(seed: UInt64 = 1) {
        machine = Simulation(seed: seed)
    }

    func open() throws -> Store {
        try Store.open(at: Self.directory, options: options, environment: machine.environment)
    }

    /// A collection whose chunks are small, so that little data makes many of them.
    func blobs(
        in store: Store, gracePeriod: Duration = .seconds(3600), fingerprint: ChunkFingerprint? = nil
    ) throws -> BlobCollection {
        try store.blobs(
            "b", gracePeriod: gracePeriod, chunker: ContentChunker(minimum: 64, normalBits: 8, maximum: 1024),
            fingerprint: fingerprint)
    }

    func write(_ bytes: [UInt8], toFileAt path: String) throws {
        let file = try machine.disk.open(path, .create)
        try bytes.withBytes { (bytes) throws(IOError) in try file.write(bytes, at: 0) }
        try file.synchronize()
        try file.close()
        try machine.disk.synchronizeDirectory("/")
    }

    func hasFile(_ path: String) throws -> Bool {
        try machine.disk.status(of: path) != nil
    }

    /// Nothing reaches the disk after that many more changes of it; `crash` or `restart` has to follow.
    func armStop(after changes: Int) {
        machine.disk.inject(Fault(.stop, skipping: changes) { $0.isMutation })
    }

    /// Cuts the power while `store` is open.
    func crash(_ store: Store) {
        stop(store)
        machine.crash()
    }

    /// Ends the process: cleanly if `store` has been closed.
    func restart(_ store: Store) {
        stop(store)
        machine.restart()
    }

    /// Nothing reaches the disk any more; background jobs run into errors, and the process goes.
    private func stop(_ store: Store) {
        machine.disk.inject(Fault(.stop))
        try? store.close()
        machine.disk.removeFaults()
    }

    /// Lets that much time pass.
    func advance(milliseconds: UInt64) {
        machine.clock.advance(nanoseconds: milliseconds * 1_000_000)
    }
}
