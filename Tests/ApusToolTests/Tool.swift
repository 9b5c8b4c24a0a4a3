// Runs the built `apus` command in a temporary directory, as a user would.

import Foundation
import Testing

/// One temporary directory; relative paths in arguments are inside it.
final class Tool {
    struct Result {
        var bytes: [UInt8]
        var errors: String
        var code: Int32

        var text: String { String(decoding: bytes, as: UTF8.self) }
        var lines: [String] { text.split(separator: "\n").map(String.init) }

        func json<Value: Decodable>(_ type: Value.Type) throws -> Value {
            try JSONDecoder().decode(type, from: Data(bytes))
        }
    }

    let directory: URL
    private var runs = 0

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-tool-\(UUID())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(at: directory)
    }

    /// Runs to the end. Output goes through files, which never fill up as pipes do.
    @discardableResult
    func run(_ arguments: String..., input: String = "") throws -> Result {
        try run(arguments, input: input)
    }

    func run(_ arguments: [String], input: String = "", program: String? = nil) throws -> Result {
        runs += 1
        let names = ["in", "out", "err"].map { directory.appendingPathComponent(".\($0)-\(runs)") }
        try Data(input.utf8).write(to: names[0])
        for name in names.dropFirst() { try Data().write(to: name) }
        let process = try makeProcess(arguments)
        if let program { process.executableURL = URL(fileURLWithPath: program) }
        process.standardInput = try FileHandle(forReadingFrom: names[0])
        process.standardOutput = try FileHandle(forWritingTo: names[1])
        process.standardError = try FileHandle(forWritingTo: names[2])
        try process.run()
        process.waitUntilExit()
        return Result(
            bytes: Array(try Data(contentsOf: names[1])),
            errors: String(decoding: try Data(contentsOf: names[2]), as: UTF8.self),
            code: process.terminationStatus
        )
    }

    /// Runs a line of shell in which `apus` is the command.
    func shell(_ line: String) throws -> Result {
        try run(["-c", "apus() { '\(try Self.executable().path)' \"$@\"; }; \(line)"], program: "/bin/sh")
    }

    /// Starts a command and kills it: when `isReady`, or as soon as it has reported progress.
    func runAndKill(_ arguments: String..., when isReady: (() throws -> Bool)? = nil) throws {
        let process = try makeProcess(arguments)
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        if let isReady {
            while try process.isRunning && !isReady() { usleep(1_000) }
        } else {
            _ = pipe.fileHandleForReading.availableData
        }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    private func makeProcess(_ arguments: [String]) throws -> Process {
        let process = Process()
        process.executableURL = try Self.executable()
        process.arguments = arguments
        process.currentDirectoryURL = directory
        return process
    }

    /// Beside the test bundle.
    private static func executable() throws -> URL {
        let bundles = Bundle.allBundles.filter { $0.bundlePath.hasSuffix(".xctest") }
        let folders = (bundles.map { $0.bundleURL.deletingLastPathComponent() } + [Bundle.main.bundleURL])
        let candidates = folders.map { $0.appendingPathComponent("apus") }
        return try #require(
            candidates.first { FileManager.default.isExecutableFile(atPath: $0.path) },
            "apus is not built: \(candidates)"
        )
    }

    // MARK: Files

    func write(_ name: String, _ bytes: some Collection<UInt8>) throws {
        let url = directory.appendingPathComponent(name)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
    }

    func write(_ name: String, _ text: String) throws {
        try write(name, text.utf8)
    }

    func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: directory.appendingPathComponent(name)))
    }

    /// Every file below a folder by its relative path.
    func tree(_ folder: String) throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        let base = directory.appendingPathComponent(folder).path
        for case let name as String in try #require(FileManager.default.enumerator(atPath: base)) {
            var isDirectory: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: "\(base)/\(name)", isDirectory: &isDirectory)
            if !isDirectory.boolValue { files[name] = try read("\(folder)/\(name)") }
        }
        return files
    }
}
