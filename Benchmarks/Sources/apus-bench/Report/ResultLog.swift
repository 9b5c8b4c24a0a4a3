// The file of measurements: one JSON object per line, on disk as soon as it is known.

import FoundationEssentials

final class ResultLog {
    private let url: URL
    private var contents = Data()

    /// Begins a new file, or goes on with one that is there.
    init(path: String, appending: Bool) throws {
        url = URL(filePath: path)
        if appending, let earlier = FileManager.default.contents(atPath: path) { contents = earlier }
        try write(failure: "cannot write \(path)")
    }

    func append(_ measurement: Measurement) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        contents += try encoder.encode(measurement) + [UInt8(ascii: "\n")]
        try write(failure: "cannot write \(url.path)")
    }

    private func write(failure: String) throws {
        do {
            try contents.write(to: url)
        } catch {
            throw BenchmarkError(failure)
        }
    }
}
