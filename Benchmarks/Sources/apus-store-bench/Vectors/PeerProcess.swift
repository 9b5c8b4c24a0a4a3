// hnswlib and faiss, each a library of C++ that Python drives: vector-peers.py runs beside the suite for as long as the
// suite does, and is told what to do line by line.

import Foundation

final class PeerProcess {
    private let process = Process()
    private let commands = Pipe()
    private let answers = Pipe()
    private var received: [UInt8] = []

    private struct Answer: Decodable {
        var operations: Int
        var seconds: Double
        var figures: [String: Double]
    }

    /// nil if the virtual environment that install-peers makes is not there.
    init?(folder: String, dimension: Int, count: Int) throws {
        let python = ProcessInfo.processInfo.environment["VECTOR_PYTHON"] ?? ".venv/bin/python"
        guard FileManager.default.isExecutableFile(atPath: python) else { return nil }
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = ["vector-peers.py", folder, "\(dimension)", "\(count)"]
        process.standardInput = commands
        process.standardOutput = answers
        try process.run()
    }

    deinit {
        commands.fileHandleForWriting.closeFile()
        process.waitUntilExit()
    }

    /// Runs a command, and returns what was measured.
    func run(_ command: String) throws -> Sample {
        commands.fileHandleForWriting.write(Data("\(command)\n".utf8))
        while !received.contains(UInt8(ascii: "\n")) {
            let more = answers.fileHandleForReading.availableData
            guard !more.isEmpty else { throw BenchFailure("vector-peers.py has ended; what it wrote says why") }
            received += more
        }
        let end = received.firstIndex(of: UInt8(ascii: "\n"))!
        let answer = try JSONDecoder().decode(Answer.self, from: Data(received[..<end]))
        received.removeSubrange(...end)
        return Sample(operations: answer.operations, seconds: answer.seconds, figures: answer.figures)
    }
}
