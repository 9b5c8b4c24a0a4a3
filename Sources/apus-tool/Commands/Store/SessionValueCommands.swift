// apus session cache, preference, stats, verify: what goes with a session for a while, and what stays with a user.

import Apus
import ApusStore
import ArgumentParser
import Foundation

struct SessionCache: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache",
        abstract: "Prints a value that a session keeps for a while, or sets it.",
        discussion: """
            With a value it is set, without one printed. Exits with 1 if there is none, or it or the session has expired.
            """
    )

    @OptionGroup var sessions: SessionArguments
    @Argument(help: "The session: 32 hexadecimal digits.")
    var session: String
    @Argument(help: "The value's key.")
    var key: String
    @Argument(help: "The value; - for standard input, @FILE for a file.")
    var value: String?
    @Option(help: "The value is kept for this many seconds.")
    var lifetime = 60
    @Flag(help: "Drop the value.")
    var remove = false

    func validate() throws {
        if lifetime <= 0 { throw ValidationError("--lifetime must be at least one second.") }
        if remove, value != nil { throw ValidationError("--remove takes no value.") }
    }

    func run() throws {
        let id = try sessions.id(session)
        if remove {
            let collection = try sessions.openForChanging()
            try collection.removeCached(key, for: id)
            return try collection.store.close()
        }
        if let value {
            let bytes = try Content(value).bytes()
            let collection = try sessions.openForChanging()
            guard try collection.cache(bytes, as: key, for: id, lifetime: .seconds(lifetime)) else {
                throw sessions.missing(id)
            }
            return try collection.store.close()
        }
        let collection = try sessions.openForReading()
        guard let bytes = try collection.cached(key, for: id) else {
            throw Failure("session \(id) keeps no value \"\(shortened(displayed(key.utf8)))\"")
        }
        try printContent(bytes)
    }
}

struct SessionPreference: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preference",
        abstract: "Prints the preferences of a user, or sets one.",
        discussion: """
            Without a key all are printed, key and value separated by a tab; with a key its value; with a value it is \
            set, and lasts whatever becomes of sessions. Exits with 1 if there is no such preference.
            """
    )

    @OptionGroup var sessions: SessionArguments
    @Argument(help: "The user.")
    var user: String
    @Argument(help: "The preference's key.")
    var key: String?
    @Argument(help: "The value; - for standard input, @FILE for a file.")
    var value: String?
    @Flag(help: "Remove the preference.")
    var remove = false
    @Flag(help: "Create the database if there is none.")
    var create = false
    @OptionGroup var json: JSONFlag

    func validate() throws {
        if remove, key == nil || value != nil { throw ValidationError("--remove takes a key and no value.") }
    }

    func run() throws {
        guard let key else { return try printAll() }
        if remove {
            let collection = try sessions.openForChanging()
            try collection.removePreference(key, of: user)
            return try collection.store.close()
        }
        if let value {
            let bytes = try Content(value).bytes()
            let store = try sessions.database.openStoreForWriting(create: create)
            try store.sessions(sessions.collection).setPreference(key, to: bytes, of: user)
            return try store.close()
        }
        guard let bytes = try sessions.openForReading().preference(key, of: user) else {
            throw Failure(
                "user \"\(shortened(displayed(user.utf8)))\" has no preference \"\(shortened(displayed(key.utf8)))\"")
        }
        try json.isOn ? printLines([jsonEntry(key, bytes)]) : printContent(bytes)
    }

    private func jsonEntry(_ key: String, _ value: [UInt8]) -> String {
        var line: [UInt8] = []
        appendJSONEntry(Array(key.utf8), value, hex: false, to: &line)
        return String(decoding: line.dropLast(), as: UTF8.self)
    }

    private func printAll() throws {
        let preferences = try sessions.openForReading().preferences(of: user).sorted { $0.key < $1.key }
        try printLines(
            preferences.map { key, value in
                json.isOn ? jsonEntry(key, value) : "\(displayed(key.utf8))\t\(displayed(value))"
            })
    }
}

private func printContent(_ bytes: [UInt8]) throws {
    let output = ByteOutput()
    try writeContent(bytes, to: output, isForPeople: isTerminal(1))
    if isTerminal(1) { try output.writeLine() }
    try output.flush()
}

struct SessionStats: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Shows how many sessions there are, and of how many users.",
        discussion: "Walks over the sessions."
    )

    @OptionGroup var sessions: SessionArguments
    @OptionGroup var json: JSONFlag

    private struct Report: Encodable {
        var sessions: Int
        var users: Int
        var dataBytes: Int
        var bytes: UInt64
    }

    func run() throws {
        let collection = try sessions.openForReading()
        let found = try collection.recent(limit: .max)
        let report = Report(
            sessions: found.count, users: Set(found.map(\.user)).count,
            dataBytes: found.reduce(0) { $0 + $1.data.count },
            bytes: collection.store.byteCount(.sessions, sessions.collection))
        if json.isOn { return try printLines([jsonText(report)]) }
        try printLines([
            "sessions  \(grouped(report.sessions))", "users     \(grouped(report.users))",
            "data      \(byteSize(report.dataBytes))", "on disk   \(byteSize(report.bytes))",
        ])
    }
}

struct SessionVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks that every session can be found in every way there is to find it.",
        discussion: """
            Reads every byte of the database, as apus verify does, and reports what concerns the collection. \
            Exits with 0 if all is sound and with 2 if something is damaged.
            """
    )

    @OptionGroup var sessions: SessionArguments
    @OptionGroup var json: JSONFlag

    func run() throws {
        let store = try sessions.database.openStoreForReading()
        try store.require(.sessions, sessions.collection)
        try reportVerification(of: store, .sessions, sessions.collection, json)
    }
}
