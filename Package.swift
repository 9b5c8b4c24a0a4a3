// swift-tools-version: 6.2
// ApusDB: an embeddable LSM key-value engine in Swift.
//
// The engine is one module on purpose: the optimiser sees the whole hot path, and folders carry the
// architecture. Fuzz/ and Benchmarks/ are packages of their own, so that nobody who embeds Apus builds them.

import PackageDescription

/// `APUS_STRICT=1` (set by `make test`) turns every warning of this package into an error.
let strict = Context.environment["APUS_STRICT"] == "1"
/// `DOCC=1` adds the documentation plugin, which nobody needs in order to build.
let documentation = Context.environment["DOCC"] == "1"
/// `APUS_CHECKS=1` turns on the expensive invariant checks for every database (see Verify/Invariants.swift).
let expensiveChecks = Context.environment["APUS_CHECKS"] == "1"

let package = Package(
    name: "ApusDB",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Apus", targets: ["Apus"]),
        .library(name: "ApusStore", targets: ["ApusStore"]),
        .library(name: "ApusIO", targets: ["ApusIO"]),
        .library(name: "ApusSimulation", targets: ["ApusSimulation"]),
        .executable(name: "apus", targets: ["apus-tool"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.5.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.1.0"),
    ],
    targets: [
        .target(name: "CApusCPU"),
        .systemLibrary(
            name: "CLZ4",
            pkgConfig: "liblz4",
            providers: [.apt(["liblz4-dev"]), .brew(["lz4"])]
        ),
        .systemLibrary(
            name: "CZstd",
            pkgConfig: "libzstd",
            providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]
        ),
        // What kind of file system a file is on; only Linux has, and needs, the header.
        .systemLibrary(name: "CLinuxVFS"),
        .target(
            name: "ApusIO",
            dependencies: [.target(name: "CLinuxVFS", condition: .when(platforms: [.linux]))]
        ),
        .target(
            name: "Apus",
            dependencies: [
                "ApusIO", "CApusCPU", "CLZ4", "CZstd",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ]
        ),
        .target(
            name: "ApusStore",
            dependencies: [
                "Apus", "ApusIO", "CApusCPU", "CZstd",
                .product(name: "Crypto", package: "swift-crypto"),
            ]
        ),
        .target(name: "ApusSimulation", dependencies: ["ApusIO"]),
        .executableTarget(
            name: "apus-tool",
            dependencies: [
                "Apus", "ApusIO", "ApusStore",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Sources/apus-tool"
        ),
        .testTarget(name: "ApusIOTests", dependencies: ["ApusIO"]),
        .testTarget(name: "ApusSimulationTests", dependencies: ["ApusSimulation"]),
        .testTarget(name: "ApusTests", dependencies: ["Apus", "ApusSimulation"], exclude: ["Golden/format-1"]),
        .testTarget(name: "ApusStoreTests", dependencies: ["ApusStore", "ApusSimulation"]),
        .testTarget(name: "ApusToolTests", dependencies: ["apus-tool"]),
        .testTarget(name: "TidyTests"),
    ]
)

if documentation {
    package.dependencies.append(.package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"))
}

for target in package.targets where ![.system, .plugin, .binary].contains(target.type) {
    var settings = target.swiftSettings ?? []
    settings += [.enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility")]
    if strict { settings.append(.treatAllWarnings(as: .error)) }
    if expensiveChecks { settings.append(.define("APUS_CHECKS")) }
    target.swiftSettings = settings
}
