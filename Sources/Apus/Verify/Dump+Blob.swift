// Explaining blob files: every record in the order of the file.  FORMAT.md §5

import ApusIO

extension Dump {
    /// A blob file: each value with its key.
    static func blob(
        _ number: FileNumber,
        in directory: String,
        on fileSystem: any FileSystem,
        to output: DumpOutput
    ) throws(ApusError) {
        let name = FileName.blob(number)
        let path = name.path(in: directory)
        let file = try io { () throws(IOError) in try fileSystem.open(path, .read) }
        // Opened for reading only: closing cannot lose anything.
        defer { try? file.close() }
        let byteCount = try io { () throws(IOError) in try file.byteCount() }
        output("\(name.string): \(byteCount) bytes")
        var walk = try BlobWalk(file: file, path: path, number: number)
        try walk.run { (finding) throws(ApusError) in
            switch finding {
            case .record(let record, let offset):
                let value = try record.value(file: path, offset: offset)
                var text = "@\(offset) value of \(DumpText.quoted(record.key)): \(record.header.valueByteCount) bytes"
                if record.header.codec != .none {
                    text += ", \(record.header.storedByteCount) stored with \(record.header.codec)"
                }
                output(text + ": \(DumpText.quoted(value))")
            case .reserve(let byteCount, let offset):
                output("@\(offset) \(byteCount) bytes reserved: the file was not ended")
            case .damage(let damage):
                output("@\(damage.offset ?? 0) damage: \(damage.message)")
            }
        }
        output("@\(byteCount) end, \(walk.valueCount) values")
    }
}
