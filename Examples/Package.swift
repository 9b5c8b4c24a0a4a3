// swift-tools-version: 6.2
// agent: the storage of an AI coding agent in one ApusStore, where such programs keep four SQLite files, a folder of
// attachments and a vector library.
//
// A package of its own, so that nobody who embeds ApusStore builds it. GRDB is there for the tests alone: they compare
// every rule with SQLite.

import PackageDescription

var swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
]
if Context.environment["APUS_STRICT"] == "1" { swiftSettings.append(.treatAllWarnings(as: .error)) }

let package = Package(
    name: "Examples",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "agent", targets: ["agent"])],
    dependencies: [
        .package(name: "ApusDB", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.0.0"),
    ],
    targets: [
        .executableTarget(
            name: "agent",
            dependencies: [
                .product(name: "Apus", package: "ApusDB"),
                .product(name: "ApusIO", package: "ApusDB"),
                .product(name: "ApusStore", package: "ApusDB"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: swiftSettings
        ),
        .testTarget(
            name: "AgentTests",
            dependencies: [
                "agent",
                .product(name: "ApusSimulation", package: "ApusDB"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: swiftSettings
        ),
    ]
)
