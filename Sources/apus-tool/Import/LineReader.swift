// Text files, one entry per line: key "path:00000001", value the line with its line feed. So the values of a file put
// together are the file, byte for byte, whatever its line ends are and whether the last line has one. A file without
// any line gets one entry with an empty value.

final class LineReader: RecordReader {
    private let input: ByteInput
    private let name: [UInt8]
    private(set) var position: ReaderPosition
    /// Line numbers have this many digits, so that keys sort as lines do.
    static let digitCount = 8

    init(_ input: ByteInput, name: [UInt8], from position: ReaderPosition) throws {
        self.input = input
        self.name = name
        self.position = position
        try input.skip(to: position.offset)
    }

    func next() throws -> ImportRecord? {
        let line = try input.line(limit: recordByteLimit)
        guard let value = line ?? (position.records == 0 ? [] : nil) else { return nil }
        guard let key = Self.key(of: name, line: position.records + 1) else {
            throw failure(input, "more lines than fit into \(Self.digitCount) digits")
        }
        position = ReaderPosition(offset: input.offset, records: position.records + 1)
        return ImportRecord(key: key, value: value)
    }

    /// nil if the number has too many digits.
    static func key(of name: [UInt8], line: Int) -> [UInt8]? {
        let digits = String(line)
        guard digits.utf8.count <= digitCount else { return nil }
        return name + [UInt8(ascii: ":")]
            + [UInt8](repeating: UInt8(ascii: "0"), count: digitCount - digits.utf8.count) + Array(digits.utf8)
    }

    /// The file and line of a key that this reader made.
    static func parse(_ key: [UInt8]) -> (name: [UInt8], line: Int)? {
        guard key.count > digitCount + 1, key[key.count - digitCount - 1] == UInt8(ascii: ":") else { return nil }
        let digits = key.suffix(digitCount)
        guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return (
            Array(key.prefix(key.count - digitCount - 1)),
            digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        )
    }
}

/// A whole file as one value.
final class WholeFileReader: RecordReader {
    private let input: ByteInput
    private let name: [UInt8]
    private(set) var position = ReaderPosition()

    init(_ input: ByteInput, name: [UInt8]) {
        self.input = input
        self.name = name
    }

    func next() throws -> ImportRecord? {
        guard position.records == 0 else { return nil }
        guard let value = try input.rest(limit: recordByteLimit) else {
            throw Failure("\(input.name) is larger than \(byteSize(recordByteLimit)); --lines imports it line by line")
        }
        position = ReaderPosition(offset: input.offset, records: 1)
        return ImportRecord(key: name, value: value)
    }
}
