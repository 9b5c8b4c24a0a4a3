// Deletes tables and blob files that nobody needs any more. A file goes when the manifest no longer names it (durably)
// and the last reader that could see it has gone; deletion runs as a background job, because the last reader may be in
// the middle of a lookup.

import ApusIO
import Synchronization

final class ObsoleteFiles: Sendable {
    private let fileSystem: any FileSystem
    private let scheduler: any Scheduler
    private let directory: String
    private let blobs: BlobStore
    private let pending = Monitor<[String]>([])

    init(fileSystem: any FileSystem, scheduler: any Scheduler, directory: String, blobs: BlobStore) {
        self.blobs = blobs
        self.fileSystem = fileSystem
        self.scheduler = scheduler
        self.directory = directory
    }

    /// Removes the file soon.
    func remove(_ name: FileName) {
        if case .blob(let number) = name { blobs.forget(number) }
        pending.withLock { $0.append(name.path(in: directory)) }
        scheduler.run(.maintenance) { [weak self] in self?.removePending() }
    }

    /// Removes what waits to be removed. A failure is ignored: the next open finds and removes the orphan.
    func removePending() {
        let paths = pending.withLock { paths in
            defer { paths = [] }
            // Files are let go in no particular order, but a seed has to repeat its history.
            return paths.sorted()
        }
        for path in paths { try? fileSystem.remove(path) }
    }

    /// Keeps a blob file while anyone may read it.
    final class Lease: Sendable {
        let number: FileNumber
        private let files: ObsoleteFiles
        private let isObsolete = Atomic(false)

        init(_ number: FileNumber, files: ObsoleteFiles) {
            self.number = number
            self.files = files
        }

        /// Call when the edit that drops the file is durable.
        func markObsolete() { isObsolete.store(true, ordering: .releasing) }

        deinit {
            if isObsolete.load(ordering: .acquiring) { files.remove(.blob(number)) }
        }
    }
}
