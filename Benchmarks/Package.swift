// swift-tools-version: 6.2
// apus-bench: ApusDB beside the engines people would pick instead, all fed by one loop. apus-store-bench: the same for
// the collections of ApusStore, beside what an application would use in their place.
//
// A package of its own, so that nobody who embeds Apus ever builds a peer. Every peer is optional: what is installed
// when this manifest is read is compiled in, and `apus-bench list` names what is not.

import Foundation
import PackageDescription

let strict = Context.environment["APUS_STRICT"] == "1"

func isInstalled(_ header: String, in folders: [String] = ["/usr/include", "/usr/local/include"]) -> Bool {
    folders.contains { FileManager.default.fileExists(atPath: "\($0)/\(header)") }
}

struct Peer {
    var module: String
    var condition: String
    var header: String
    var debianPackage: String
    /// The library is `lib<library>`.
    var library: String
    /// A folder with `include` and `lib` of another build, measured in place of the system's.
    var folder: String?

    var isPresent: Bool { folder.map { isInstalled(header, in: ["\($0)/include"]) } ?? isInstalled(header) }
}

let peers = [
    Peer(
        module: "CRocksDB",
        condition: "PEER_ROCKSDB",
        header: "rocksdb/c.h",
        debianPackage: "librocksdb-dev",
        library: "rocksdb",
        folder: Context.environment["ROCKSDB_LIBRARY_PATH"]
    ),
    Peer(
        module: "CLevelDB",
        condition: "PEER_LEVELDB",
        header: "leveldb/c.h",
        debianPackage: "libleveldb-dev",
        library: "leveldb",
        folder: Context.environment["LEVELDB_LIBRARY_PATH"]
    ),
    Peer(module: "CLMDB", condition: "PEER_LMDB", header: "lmdb.h", debianPackage: "liblmdb-dev", library: "lmdb"),
    Peer(
        module: "CWiredTiger",
        condition: "PEER_WIREDTIGER",
        header: "wiredtiger.h",
        debianPackage: "libwiredtiger-dev",
        library: "wiredtiger"
    ),
    Peer(
        module: "CSQLite",
        condition: "PEER_SQLITE",
        header: "sqlite3.h",
        debianPackage: "libsqlite3-dev",
        library: "sqlite3"
    ),
].filter(\.isPresent)

/// `-Ounchecked` and the like stay out on purpose: Apus is measured as people build it.
var swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
]
if strict { swiftSettings.append(.treatAllWarnings(as: .error)) }
var benchSettings = swiftSettings + peers.map { .define($0.condition) }
var benchLinkerSettings: [LinkerSetting] = []

for peer in peers {
    guard let folder = peer.folder else {
        benchLinkerSettings.append(.linkedLibrary(peer.library))
        continue
    }
    benchSettings += [.define("\(peer.condition)_OWN_BUILD"), .unsafeFlags(["-Xcc", "-I\(folder)/include"])]
    // By its file: a search path of ours would come after the system's, which pkg-config puts in front.
    benchLinkerSettings.append(
        .unsafeFlags(["\(folder)/lib/lib\(peer.library).so", "-Xlinker", "-rpath", "-Xlinker", "\(folder)/lib"])
    )
}

var dependencies: [Package.Dependency] = [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.1.0"),
]
var apusDependencies: [Target.Dependency] = []
var storeDependencies: [Target.Dependency] = []
if FileManager.default.fileExists(atPath: "\(Context.packageDirectory)/../Sources/Apus/API/Database.swift") {
    dependencies.append(.package(name: "ApusDB", path: ".."))
    apusDependencies = [.product(name: "Apus", package: "ApusDB")]
    storeDependencies = [.product(name: "Apus", package: "ApusDB"), .product(name: "ApusStore", package: "ApusDB")]
    benchSettings.append(.define("ENGINE_APUS"))
    swiftSettings.append(.define("ENGINE_APUS"))
}

/// GRDB brings no SQLite of its own: it is there if SQLite is.
let hasSQLite = peers.contains { $0.module == "CSQLite" }
if hasSQLite { dependencies.append(.package(url: "https://github.com/groue/GRDB.swift", from: "7.0.0")) }
let storePeers: [Target.Dependency] = hasSQLite ? ["CSQLite", .product(name: "GRDB", package: "GRDB.swift")] : []

/// apus-probe counts allocations by being its own `malloc` (see MallocHooks.swift).
let hookedFunctions = ["malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign"]
let hookLinkerFlags = hookedFunctions.flatMap { ["-Xlinker", "--defsym=\($0)=apus_counting_\($0)"] }

let package = Package(
    name: "Benchmarks",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "apus-bench", targets: ["apus-bench"]),
        .executable(name: "apus-store-bench", targets: ["apus-store-bench"]),
    ],
    dependencies: dependencies,
    targets: peers.map { .systemLibrary(name: $0.module, providers: [.apt([$0.debianPackage])]) } + [
        .executableTarget(
            name: "apus-bench",
            dependencies: [
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ] + apusDependencies + peers.map { .target(name: $0.module) },
            swiftSettings: benchSettings,
            linkerSettings: benchLinkerSettings
        ),
        .executableTarget(
            name: "apus-probe",
            dependencies: apusDependencies,
            swiftSettings: swiftSettings,
            linkerSettings: [.unsafeFlags(hookLinkerFlags + ["-Xlinker", "--export-dynamic"])]
        ),
        .executableTarget(
            name: "apus-store-bench",
            dependencies: [.product(name: "ArgumentParser", package: "swift-argument-parser")]
                + storeDependencies + storePeers,
            swiftSettings: benchSettings
        ),
        .testTarget(
            name: "BenchTests",
            dependencies: ["apus-bench"],
            exclude: ["Fixtures"],
            swiftSettings: swiftSettings
        ),
    ]
)
