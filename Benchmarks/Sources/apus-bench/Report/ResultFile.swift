// Reads a file of measurements back: one JSON object per line.

import FoundationEssentials

enum ResultFile {
    static func measurements(in path: String) throws -> [Measurement] {
        guard let contents = FileManager.default.contents(atPath: path) else {
            throw BenchmarkError("cannot read \(path)")
        }
        return try measurements(in: contents, name: path)
    }

    static func measurements(in contents: Data, name: String) throws -> [Measurement] {
        var measurements: [Measurement] = []
        let lines = contents.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() where !line.isEmpty {
            do {
                measurements.append(try JSONDecoder().decode(Measurement.self, from: Data(line)))
            } catch {
                throw BenchmarkError("line \(index + 1) of \(name) is not a measurement of this tool: \(reason(error))")
            }
        }
        guard !measurements.isEmpty else { throw BenchmarkError("\(name) holds no measurements") }
        return measurements
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "it has no '\(key.stringValue)'"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "'\(context.codingPath.last?.stringValue ?? "")' has another type"
        default: "it is not a JSON object"
        }
    }
}
