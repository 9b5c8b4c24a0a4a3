// A single file of a database, explained to people.

public import ApusIO

/// Looking into the files of a database one by one, without opening it.
public enum DatabaseFile {
    /// Explains a file: every field of it, and every damage at the offset where it is. Reads only; goes on behind
    /// damage as far as anything can be recognised.
    ///
    /// - Parameters:
    ///   - path: of a log segment, table, blob file, manifest or `CURRENT`, under the name that it has in a database.
    ///   - environment: whose disk is read; the system's by default.
    ///   - output: called with one line after the other.
    /// - Throws: `ApusError`: `invalidArgument` if no file of a database that can be explained has such a name,
    ///   `notFound`, `io`. Damage is part of the output.
    public static func dump(
        _ path: String, environment: Environment? = nil, to output: (String) -> Void
    ) throws(ApusError) {
        let fileSystem: any FileSystem = environment?.fileSystem ?? POSIXFileSystem()
        let directory = DatabaseDirectory.parent(of: path)
        guard let name = FileName(path.split(separator: "/").last.map { String($0) } ?? "") else {
            throw ApusError(.invalidArgument, "no file of a database has such a name", file: path)
        }
        let status = try io { () throws(IOError) in try fileSystem.status(of: path) }
        guard let status, !status.isDirectory else { throw ApusError(.notFound, "there is no such file", file: path) }
        switch name {
        case .current: try Dump.current(in: directory, on: fileSystem, to: output)
        case .log(let number): try Dump.log(number, in: directory, on: fileSystem, to: output)
        case .manifest(let number): try Dump.manifest(number, in: directory, on: fileSystem, to: output)
        case .table(let number): try Dump.table(number, in: directory, on: fileSystem, to: output)
        case .blob(let number): try Dump.blob(number, in: directory, on: fileSystem, to: output)
        case .lock, .temporaryCurrent:
            throw ApusError(.invalidArgument, "there is nothing to explain in such a file", file: path)
        }
    }
}
