// Getting out of a damaged database what can still be read.

public import ApusIO

extension Database {
    /// Reads everything that can be read of the database in `source`, and writes it to a new, sound one in `target`,
    /// with the same keyspaces and settings.
    ///
    /// The source is only read; nobody may have it open for writing meanwhile. Entries keep their sequence numbers, so
    /// newer ones go on beating older ones, wherever they were found. Two things to know about the result:
    /// - Where the newest version of a key or its deletion was lost, an older version becomes visible again.
    /// - If the manifest is damaged, nobody knows any more which files were obsolete: every table and log in the
    ///   directory is used, and something that was deleted may reappear. Keyspaces whose names were lost are called
    ///   "keyspace-" and their number, and have the default settings; tables that do not even tell their keyspace become
    ///   keyspaces called "table-" and their number.
    ///
    /// - Parameters:
    ///   - source: the damaged database's directory; nothing in it is changed.
    ///   - target: must be absent or empty; its parent must exist.
    ///   - options: for the new database.
    ///   - environment: disk, clock, threads and randomness; the system's by default.
    /// - Returns: what was recovered, and exactly what was not.
    /// - Throws: `ApusError`: `notFound`, `notADatabase`, `locked`, `unsupportedFormat`, `invalidArgument` (the target
    ///   is not empty), `io` and `outOfSpace` for the target. Nothing is left in the target then.
    /// - Complexity: reads every file once or twice, writes every table and value once. Memory for the range deletions
    ///   of a keyspace, the report, and a megabyte for each table that overlaps with others.
    public static func salvage(
        from source: String, to target: String, options: Options = Options(), environment: Environment? = nil
    ) throws(ApusError) -> SalvageReport {
        try Salvage.run(from: source, to: target, options: options, environment: environment)
    }
}
