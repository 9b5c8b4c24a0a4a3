// swift-tools-version: 6.2
// apus-fuzz: libFuzzer on everything in ApusDB that reads bytes it did not write, and on the engine as a whole.
//
// A package of its own, so that nobody who embeds Apus ever builds it. It is built by `make fuzz` only, which passes
// the flags that instrument the engine too: see Fuzz/run.

import PackageDescription

let strict = Context.environment["APUS_STRICT"] == "1"

var settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
]
if strict { settings.append(.treatAllWarnings(as: .error)) }

let package = Package(
    name: "ApusFuzz",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "ApusDB", path: "..")],
    targets: [
        .executableTarget(
            name: "apus-fuzz",
            dependencies: [
                .product(name: "Apus", package: "ApusDB"),
                .product(name: "ApusIO", package: "ApusDB"),
                .product(name: "ApusSimulation", package: "ApusDB"),
            ],
            // `Shared` is linked: the model of the tests, and the readers of the command. `Fuzz/check` compiles all of it.
            swiftSettings: settings,
            // gold gives up on the debug information of sanitizers.
            linkerSettings: [.unsafeFlags(["-use-ld=lld"], .when(platforms: [.linux]))]
        )
    ]
)
