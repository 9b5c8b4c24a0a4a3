// The house rules, held by the machine: short files that say what they are, no way around the injected environment,
// nothing unfinished, nothing that belongs to one machine.

import Foundation
import Testing

@Suite struct HouseRulesTests {
    @Test func sourcesAreFound() {
        #expect(SourceTree.sources.count > 50)
        #expect(SourceTree.file("FORMAT.md") != nil)
    }

    @Test func noFileIsLongerThan400Lines() {
        for file in SourceTree.swiftFiles {
            // The last line feed makes one more, empty, component.
            #expect(file.lines.count - 1 <= 400, "\(file.path) has \(file.lines.count - 1) lines")
        }
    }

    @Test func everyFileOpensWithACommentThatSaysWhatItIs() {
        for file in SourceTree.swiftFiles {
            let isManifest = file.path.hasSuffix("Package.swift")
            let first = file.lines.first { !(isManifest && $0.hasPrefix("// swift-tools-version")) } ?? ""
            #expect(first.hasPrefix("// ") && first.count > 20, "\(file.path) opens with: \(first)")
        }
    }

    @Test func onlyTheIOLayerImportsTheSystem() {
        let exempt = ["Sources/ApusIO", "Sources/apus-tool"]
        for file in SourceTree.sources where !file.isBelow(exempt) {
            let found = file.violations(#"\bimport +(Foundation|FoundationEssentials|Glibc|Musl|Darwin|Dispatch)\b"#)
            #expect(found.isEmpty, "\(found)")
        }
        // The IO layer reaches the system by its C library alone.
        for file in SourceTree.sources where file.isBelow(["Sources/ApusIO"]) {
            let found = file.violations(#"\bimport +(Foundation|FoundationEssentials|Dispatch)\b"#)
            #expect(found.isEmpty, "\(found)")
        }
    }

    @Test func timeRandomnessAndThreadsComeFromTheEnvironment() {
        // Simulations replay a history from its seed, which only works if nothing else is random.
        let banned =
            #"\b(Date\(|ContinuousClock|SuspendingClock|Task\.sleep|clock_gettime|gettimeofday|usleep|nanosleep"#
            + #"|SystemRandomNumberGenerator|\.random\(|\.randomElement\(|\.shuffled\(|\.shuffle\("#
            + #"|arc4random|drand48|pthread_create|Thread\(|Thread\.|DispatchQueue|Task\.detached|Task *\{)"#
        for file in SourceTree.sources
        where !file.isBelow(["Sources/ApusIO", "Sources/ApusSimulation", "Sources/apus-tool"]) {
            // A generator that is passed in is fine.
            let found = file.violations(banned).filter { !$0.contains("using:") }
            #expect(found.isEmpty, "\(found)")
        }
    }

    @Test func testsDoNotSleep() {
        for file in SourceTree.swiftFiles where file.isBelow(["Tests"]) && !file.isBelow(["Tests/TidyTests"]) {
            // Processes of the command, and threads of the IO layer, can only be watched from outside.
            if file.isBelow(["Tests/ApusToolTests", "Tests/ApusIOTests"]) { continue }
            let found = file.violations(#"\b(Task\.sleep|Thread\.sleep|usleep\(|nanosleep\()"#)
            #expect(found.isEmpty, "\(found)")
        }
    }

    @Test func nothingIsLeftUnfinished() {
        let marks = ["TODO", "FIXME", "XXX", "HACK"].map { "\\b\($0)\\b" }.joined(separator: "|")
        for file in SourceTree.swiftFiles + SourceTree.otherFiles where !file.isBelow(["Tests/TidyTests"]) {
            let found = file.violations(marks, inComments: true)
            #expect(found.isEmpty, "\(found)")
        }
    }

    @Test func noPathBelongsToOneMachine() {
        let paths = #"(?m)(^|[\s"'(=])/(home|Users|work|root|opt/swift)/"#
        for file in SourceTree.swiftFiles + SourceTree.otherFiles where !file.isBelow(["Tests/TidyTests"]) {
            let found = file.violations(paths, inComments: true)
            #expect(found.isEmpty, "\(found)")
        }
    }

    @Test func buildOutputAndDatabasesAreIgnored() throws {
        let ignored = try #require(SourceTree.file(".gitignore")).lines
        for pattern in [".build/", ".build-*/", "Package.resolved", "*.apus/", "demo-work/"] {
            #expect(ignored.contains(pattern), "\(pattern) is missing in .gitignore")
        }
    }
}
