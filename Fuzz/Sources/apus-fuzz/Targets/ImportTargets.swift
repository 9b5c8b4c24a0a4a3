// The readers behind `apus import`: JSON Lines and CSV.

import Foundation

extension FuzzTarget {
    static let jsonl = FuzzTarget(
        name: "jsonl",
        summary: "JSON Lines: any text; every position is one to go on from; entries come back",
        maximumByteCount: 1024,
        run: { bytes in
            var source = ByteSource(bytes)
            let (mode, pause) = (source.byte(), source.below(4))
            if mode & 2 != 0 { return expectJSONComesBack(source.bytes(upTo: 40), source.rest()) }
            let keyField = mode & 1 != 0 ? "id" : nil
            expectResumable(source.rest(), pause: pause) { input, position in
                try JSONLinesReader(input, keyField: keyField, from: position)
            }
        },
        seeds: {
            let lines =
                #"{"key":"a\u00e9\ud83d\ude00","value":[1,{"b":-1.5e3}]}"# + "\n\n"
                + #" { "keyHex" : "00fF" , "valueBase64":"AAECAw==" } "# + "\r\n" + #"{"value":null,"key":"x"}"#
            let objects = #"{"id":7,"name":"Ada \"\\\/\b\f\n\r\t","list":[[],{},true,false]}"# + "\n" + #"{"id":"b"}"#
            return [
                "entries": [0, 1] + Array(lines.utf8), "objects": [1, 0] + Array(objects.utf8),
                "mark": [0, 0, 0xEF, 0xBB, 0xBF] + Array(lines.utf8), "back": [2, 0, 3, 0x61, 0, 0xFF, 0x62, 0x0A],
            ]
        }
    )

    static let csv = FuzzTarget(
        name: "csv",
        summary: "CSV and TSV: any text; every position is one to go on from; rows come back",
        maximumByteCount: 1024,
        run: { bytes in
            var source = ByteSource(bytes)
            let (mode, pause) = (source.byte(), source.below(4))
            let delimiter: UInt8 = mode & 1 != 0 ? 0x09 : 0x2C
            if mode & 2 != 0 { return expectRowComesBack(source.bytes(upTo: 40), source.rest(), delimiter) }
            var columns = ColumnChoice()
            columns.hasHeader = mode & 4 == 0
            if mode & 8 != 0 { columns.key = "2" }
            if mode & 16 != 0 { columns.value = "1" }
            expectResumable(source.rest(), pause: pause) { input, position in
                try DelimitedReader(input, delimiter: delimiter, columns, from: position)
            }
        },
        seeds: {
            let rows = "k,v\r\na,\"1,\"\"x\"\"\r\n2\"\n\nb,\r\nc,3 \"q\" "
            return [
                "two": [0, 1] + Array(rows.utf8), "three": [8, 0] + Array("a,b,c\n1,2,3\n4,5,6".utf8),
                "tabs": [5, 0] + Array("1\t2\n\"\t\"\t4\n".utf8), "mark": [0, 0, 0xEF, 0xBB, 0xBF] + Array(rows.utf8),
                "one": [0, 0] + Array("k\na\n\nb\n".utf8), "back": [2, 0, 2, 0x22, 0x0A, 0x2C, 0x0D],
            ]
        }
    )
}

/// A file that each run fills with its text.
private final class TextFile: Sendable {
    static let shared = TextFile()
    let path: String
    private let descriptor: Int32

    private init() {
        // In memory where there is such a place: disks are slow about files that are emptied again and again.
        let folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array("\(folder)/apus-fuzz-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        expect(descriptor >= 0, "a temporary file can be made")
        // Nothing is left behind, however the process ends.
        unlink(template)
        path = "/dev/fd/\(descriptor)"
    }

    func fill(_ bytes: [UInt8]) {
        expect(ftruncate(descriptor, 0) == 0, "the temporary file can be emptied")
        let count = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        expect(count == bytes.count, "the temporary file can be written")
    }
}

private typealias MakeReader = (ByteInput, ReaderPosition) throws -> any RecordReader

/// The records up to the end or the first that makes no sense, and the positions before each.
private func read(
    _ position: ReaderPosition,
    _ make: MakeReader
) -> (records: [ImportRecord], places: [ReaderPosition])? {
    do {
        // Tiny pieces, so that every place of the text is an end of one.
        let reader = try make(ByteInput(path: TextFile.shared.path, bufferByteCount: 7), position)
        var (records, places): ([ImportRecord], [ReaderPosition]) = ([], [reader.position])
        do {
            while let record = try reader.next() {
                expect(!record.key.isEmpty, "no record has an empty key")
                records.append(record)
                places.append(reader.position)
            }
        } catch let failure as Failure {
            expect(!failure.message.isEmpty, "a refusal has a message")
        }
        return (records, places)
    } catch is Failure {
        return nil
    } catch {
        violated("a reader refuses with a Failure: \(error)")
    }
}

private func expectResumable(_ text: [UInt8], pause: Int, _ make: MakeReader) {
    TextFile.shared.fill(text)
    guard let whole = read(ReaderPosition(), make) else { return }
    let index = min(pause, whole.records.count)
    guard let rest = read(whole.places[index], make) else { violated("a reader goes on where it was") }
    expect(rest.records == Array(whole.records.dropFirst(index)), "a reader that goes on finds what is left")
    for (before, after) in zip(whole.places, whole.places.dropFirst()) {
        expect(before.offset < after.offset && before.records + 1 == after.records, "positions go forward")
    }
}

private func expectJSONComesBack(_ key: [UInt8], _ value: [UInt8]) {
    guard !key.isEmpty else { return }
    for hex in [false, true] {
        var line = [UInt8(ascii: "{")]
        appendJSONField("key", key, hex: hex, to: &line)
        line.append(UInt8(ascii: ","))
        appendJSONField("value", value, hex: hex, to: &line)
        TextFile.shared.fill(line + [UInt8(ascii: "}")])
        let found = read(ReaderPosition()) { try JSONLinesReader($0, keyField: nil, from: $1) }
        expect(found?.records == [ImportRecord(key: key, value: value)], "an entry comes back from JSON")
    }
    _ = displayed(value)
}

private func expectRowComesBack(_ key: [UInt8], _ value: [UInt8], _ delimiter: UInt8) {
    guard !key.isEmpty else { return }
    func quoted(_ field: [UInt8]) -> [UInt8] { [0x22] + field.flatMap { $0 == 0x22 ? [$0, $0] : [$0] } + [0x22] }
    TextFile.shared.fill(Array("k".utf8) + [delimiter] + Array("v\n".utf8) + quoted(key) + [delimiter] + quoted(value))
    let found = read(ReaderPosition()) { try DelimitedReader($0, delimiter: delimiter, ColumnChoice(), from: $1) }
    expect(found?.records == [ImportRecord(key: key, value: value)], "a row comes back")
}
