// An import in a process of its own, which the demo kills without warning.

import Foundation

struct ImportChild {
    enum Outcome {
        /// Killed after it had reported this many entries.
        case killed(entries: Int)
        case finished
    }

    /// Runs this program with `arguments` and kills it as soon as it reports `threshold` entries.
    static func run(_ arguments: [String], killAt threshold: Int) throws -> Outcome {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = try executable()
        process.arguments = arguments
        process.standardError = pipe
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        var pending: [UInt8] = []
        var reported = 0
        while true {
            let chunk = pipe.fileHandleForReading.availableData
            if chunk.isEmpty { break }
            pending += chunk
            while let end = pending.firstIndex(of: 0x0A) {
                reported = entries(in: pending[..<end]) ?? reported
                pending.removeSubrange(...end)
            }
            if reported >= threshold {
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
                return .killed(entries: reported)
            }
        }
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure("the import ended with \(process.terminationStatus) before it was killed")
        }
        return .finished
    }

    /// The figure before "entries" in a line of progress.
    private static func entries(in line: ArraySlice<UInt8>) -> Int? {
        let words = String(decoding: line, as: UTF8.self).split(separator: " ")
        guard let index = words.firstIndex(of: "entries"), index > 0 else { return nil }
        return Int(words[index - 1].filter { $0 != "," })
    }

    private static func executable() throws -> URL {
        guard let url = Bundle.main.executableURL else { throw Failure("cannot find this program's own file") }
        return url
    }
}
