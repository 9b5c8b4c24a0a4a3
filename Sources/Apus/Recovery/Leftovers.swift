// Room for opening on a device that is full of what a crash left behind.
//
// Opening removes leftovers last, because it may have read a manifest from the page cache that the disk does not have:
// what that one no longer lists may still be needed by the one on the disk. When opening runs out of space, what was
// read is written as a new manifest, durably, which settles it; then the leftovers go.

import ApusIO

enum Leftovers {
    /// Removes files that nothing refers to. False if there are none. The caller holds the lock, nothing is open.
    static func reclaim(_ directory: String, _ environment: Environment) throws(ApusError) -> Bool {
        let fileSystem = environment.fileSystem
        guard case .database(let content) = try RecoveredState.read(directory: directory, fileSystem: fileSystem),
            !content.obsoleteFiles.isEmpty
        else { return false }
        let leftovers = try content.leftovers(in: directory, on: fileSystem)
        guard !leftovers.isEmpty else { return false }
        let numbers = FileNumberSource(next: content.nextFileNumber)
        let writer = try ManifestWriter(
            ManifestWriter.Configuration(directory: directory, fileSystem: fileSystem, byteCount: 0), content.manifest,
            allocateNumber: { numbers.take() })
        writer.abandon()
        for name in leftovers + [.manifest(content.current.manifest)] {
            try? fileSystem.remove(name.path(in: directory))
        }
        return true
    }
}
