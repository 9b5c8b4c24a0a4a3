// The command's name, its subcommands in the order people meet them, and what all of them share in their help.

import ArgumentParser

struct ApusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract: "Reads, writes, imports, exports and examines ApusDB databases.",
        discussion: """
            A database is a directory. Keys and values are text unless --hex is given. Entries live in keyspaces; \
            the one called "default" is meant where --keyspace names no other. Documents, vectors, sessions and blobs \
            live in collections.

            Before keys and values that begin with a dash write --, as in apus put my.apus -- -key -value.

            Exit codes: 0 done; 1 failed, or no such key; 2 the database is damaged; 64 wrong usage.
            """,
        version: "ApusDB 1.0.0, database format 1",
        subcommands: [
            DemoCommand.self, PutCommand.self, GetCommand.self, DeleteCommand.self, ScanCommand.self,
            CountCommand.self, DocCommand.self, VectorCommand.self, SessionCommand.self, BlobCommand.self,
            CollectionsCommand.self, ImportCommand.self, ExportCommand.self, KeyspacesCommand.self, StatsCommand.self,
            VerifyCommand.self, CompactCommand.self, SalvageCommand.self, DumpCommand.self, TortureCommand.self,
        ]
    )
}
