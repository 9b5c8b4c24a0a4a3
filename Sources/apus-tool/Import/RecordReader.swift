// What every import format looks like to the importer: records one after the other, and a place to go on from.
//
// The splitters are our own. Foundation's readers want whole documents in memory or cannot say at which byte a record
// began, and both are needed here: memory that does not grow with the source, and an import that can be killed and
// continued.

struct ImportRecord: Equatable {
    var key: [UInt8]
    var value: [UInt8]
}

/// A place between two records of a source.
struct ReaderPosition: Codable, Equatable {
    /// Of the first byte that is not yet read.
    var offset: UInt64 = 0
    /// Records before it.
    var records = 0
}

protocol RecordReader: AnyObject {
    /// Where the record begins that `next` returns next.
    var position: ReaderPosition { get }
    /// Of rows; nil for other records.
    var layout: TableLayout? { get }
    /// nil at the end of the source.
    func next() throws -> ImportRecord?
}

extension RecordReader {
    var layout: TableLayout? { nil }

    /// The error for a record that makes no sense, which is the next one.
    func failure(_ input: ByteInput, _ what: String) -> Failure {
        Failure("\(input.name), record \(position.records + 1): \(what)")
    }
}

/// Longer lines and fields are refused: they are no records, and must not fill the memory.
let recordByteLimit = 256 << 20

extension ByteInput {
    /// Skips the mark that some programs put before UTF-8 text.
    func skipByteOrderMark() throws {
        if offset == 0, try starts(with: [0xEF, 0xBB, 0xBF]) { consume(3) }
    }
}
