// The patches of Tests/Sabotage, which .ci/sabotage applies to a copy of the engine: complete, and still patches of the
// code as it is. Whether the tests notice them is not asked here; that takes an hour.

import Foundation
import Testing

@Suite struct SabotageTests {
    static let folder = "Tests/Sabotage"

    static let patches: [SourceFile] = SourceTree.otherFiles.filter {
        $0.isBelow([folder]) && $0.path.hasSuffix(".patch")
    }

    /// Git comes with every clone. Without both there is nothing to apply a patch with; with a clone it is a failure.
    static let isGitExpected: Bool =
        FileManager.default.fileExists(atPath: SourceTree.root.appendingPathComponent(".git").path)
        || (try? git(["--version"]).isSuccess) == true

    @Test func thereAreManyAndEachHasANumberOfItsOwn() {
        #expect(Self.patches.count >= 100)
        let numbers = Self.patches.compactMap { patch in
            Int(patch.path.dropFirst(Self.folder.count + 1).prefix { $0.isNumber })
        }
        #expect(numbers.count == Self.patches.count && Set(numbers).count == numbers.count)
    }

    @Test func everyPatchSaysWhatItIsAndWhatCatchesIt() {
        let tests = SourceTree.swiftFiles.filter { $0.isBelow(["Tests"]) }
        for patch in Self.patches {
            let opening = patch.lines.prefix { !$0.hasPrefix("diff ") }
            #expect(
                opening.count == 4 && opening[3].isEmpty,
                "\(patch.path) does not open with three lines and an empty one")
            for (line, name) in zip(opening, ["Bug: ", "Class: ", "Caught by: "]) {
                #expect(line.hasPrefix(name) && line.count > name.count + 5, "\(patch.path): \(name)is missing")
            }
            let suites = (opening.dropFirst(2).first ?? "").dropFirst("Caught by: ".count).split(separator: "|")
            for suite in suites {
                let declaration = "struct \(suite) "
                #expect(tests.contains { $0.text.contains(declaration) }, "\(patch.path): there are no \(suite)")
            }
            let changed = patch.lines.filter { $0.hasPrefix("diff ") }
            #expect(!changed.isEmpty && changed.allSatisfy { $0.hasPrefix("diff --git a/Sources/") }, "\(patch.path)")
        }
    }

    @Test(.enabled(if: isGitExpected, "there is neither a clone nor git"))
    func everyPatchApplies() throws {
        for patch in Self.patches {
            let result = try Self.git(["apply", "--check", patch.path])
            #expect(result.isSuccess, "\(patch.path) does not apply any more:\n\(result.message)")
        }
    }

    /// Runs git in the root of the repository, or what would be its root.
    private static func git(_ arguments: [String]) throws -> (isSuccess: Bool, message: String) {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["git"] + arguments
        process.currentDirectoryURL = SourceTree.root
        var environment = ProcessInfo.processInfo.environment
        // In a folder of somebody else's repository git would look for the files there.
        environment["GIT_CEILING_DIRECTORIES"] = SourceTree.root.deletingLastPathComponent().path
        process.environment = environment
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let message = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus == 0, message)
    }
}
