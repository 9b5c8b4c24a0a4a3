// Versions of a source tree, one after the other, beside the programs that people back such trees up with. The versions
// are the folders in the one that APUS_TREES names, in the order of their names, made from the tags of a repository by
//
//   git archive <tag> | tar x -C <folder>/<number>-<tag>

import Apus
import ApusStore
import FoundationEssentials
import Glibc

func runTrees(_ bench: Bench) throws {
    let work = "versions of a source tree"
    guard bench.wants(work) else { return }
    guard let place = ProcessInfo.processInfo.environment["APUS_TREES"] else {
        print("blobs: \(work): left out, because APUS_TREES names no folder")
        return
    }
    let versions = try FileManager.default.contentsOfDirectory(atPath: place).sorted().map { "\(place)/\($0)" }
    let files = try versions.map { version in
        try FileManager.default.subpathsOfDirectory(atPath: version).sorted().filter { isRegular("\(version)/\($0)") }
    }
    let folder = try bench.folder.subfolder("trees")
    try bench.compare(
        "\(versions.count) \(work)",
        [
            Contender("ApusStore") { _ in
                let database = try folder.subfolder("apus")
                let seconds = try secondsOf { try store(versions, files, in: database) }
                return [sample(versions.count, seconds, database)]
            },
            program("restic", target: nil, in: folder, versions, setup: ["init"]) { ["backup", "--quiet", $0] },
            program("borg", target: 1, in: folder, versions, setup: ["init", "-e", "none"]) {
                ["create", "::\($0.name)", $0]
            },
        ].compactMap { $0 })
}

extension String {
    fileprivate var name: String { split(separator: "/").last.map(String.init) ?? self }
}

private func sample(_ count: Int, _ seconds: Double, _ folder: BenchFolder) -> Sample {
    Sample(operations: count, seconds: seconds, figures: ["MB": Double(folder.allocatedByteCount) / 1e6])
}

private func isRegular(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
}

/// Every file is a blob, every version a document's worth of names, all of it durable when a version is done.
private func store(_ versions: [String], _ files: [[String]], in folder: BenchFolder) throws {
    let store = try Store.open(at: "\(folder.path)/db")
    let blobs = try store.blobs()
    let trees = try store.database.keyspace("trees", options: KeyspaceOptions(compression: .zstd))
    for (version, names) in zip(versions, files) {
        let entries = try names.map { name in
            (name: name, id: try blobs.put(fileAt: "\(version)/\(name)", durability: .relaxed))
        }
        try store.transaction { transaction in
            for (name, id) in entries {
                transaction.put("\(version.name)/\(name)", id, in: trees)
                try blobs.retain(id, in: transaction)
            }
        }
    }
    try store.database.compact()
    try store.close()
}

private func program(
    _ name: String, target: Double?, in folder: BenchFolder, _ versions: [String], setup: [String],
    backup: @escaping (String) -> [String]
) -> Contender? {
    let candidates = ["/usr/bin/\(name)", "/usr/local/bin/\(name)"]
    guard let path = candidates.first(where: { access($0, X_OK) == 0 }) else { return nil }
    return Contender(name, target: target) { _ in
        let repository = try folder.subfolder(name)
        let place = "\(repository.path)/repository"
        for (variable, value) in [
            ("RESTIC_REPOSITORY", place), ("RESTIC_PASSWORD", "benchmark"), ("BORG_REPO", place),
            ("RESTIC_CACHE_DIR", "\(folder.path)/restic-cache"), ("BORG_BASE_DIR", "\(folder.path)/borg-base"),
        ] { setenv(variable, value, 1) }
        try execute(path, setup)
        let seconds = try secondsOf {
            for version in versions { try execute(path, backup(version)) }
        }
        return [sample(versions.count, seconds, repository)]
    }
}

private func execute(_ path: String, _ arguments: [String]) throws {
    var child = pid_t()
    var words = ([path] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    guard posix_spawn(&child, path, nil, nil, &words, environ) == 0 else { throw BenchFailure("cannot run \(path)") }
    var status: Int32 = 0
    guard waitpid(child, &status, 0) == child, status == 0 else {
        throw BenchFailure("\(path) \(arguments.joined(separator: " ")) has failed")
    }
}
