// apus session: what a server keeps of its users between requests. Caches and preferences are in
// SessionValueCommands.swift.

import Apus
import ApusStore
import ArgumentParser
import Foundation

struct SessionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session",
        abstract: "Sessions of users, which end when they are idle for too long.",
        discussion: """
            Example: apus session create --create my.apus --user ada --data "cart: empty"
            """,
        subcommands: [
            SessionCreate.self, SessionGet.self, SessionPut.self, SessionTouch.self, SessionDelete.self,
            SessionList.self, SessionCache.self, SessionPreference.self, SessionStats.self, SessionVerify.self,
        ]
    )
}

struct SessionArguments: ParsableArguments {
    @OptionGroup var database: DatabaseArgument
    @Option(name: [.customShort("c"), .long], help: "The collection of sessions.")
    var collection = "sessions"

    func openForReading() throws -> SessionCollection { try existing(database.openStoreForReading()) }
    func openForChanging() throws -> SessionCollection { try existing(database.openStoreForChanging()) }

    private func existing(_ store: Store) throws -> SessionCollection {
        try store.require(.sessions, collection)
        // A person's touch is always meant.
        return try store.sessions(collection, resolution: .zero)
    }

    func id(_ text: String) throws -> SessionID {
        guard let id = SessionID(text) else {
            throw Failure(
                "\"\(shortened(displayed(text.utf8)))\" is no session: its name is 32 hexadecimal digits", code: 64)
        }
        return id
    }

    func missing(_ id: SessionID) -> Failure {
        Failure("there is no session \(id) in collection \"\(collection)\", or it has expired")
    }
}

/// A session as the commands print it.
struct SessionLine: Encodable {
    var session: String
    var user: String
    var created: String
    var lastActive: String
    var expires: String?
    var data: String?
    var dataBase64: String?

    init(_ session: Session) {
        self.session = session.id.description
        user = session.user
        created = readableTime(session.created)
        lastActive = readableTime(session.lastActive)
        expires = session.expires.map { readableTime($0) }
        if isText(session.data) {
            data = String(decoding: session.data, as: UTF8.self)
        } else {
            dataBase64 = Data(session.data).base64EncodedString()
        }
    }
}

struct SessionCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Begins a session and prints its name.",
        discussion: "The collection is created on first use, the database only with --create."
    )

    @OptionGroup var sessions: SessionArguments
    @Option(help: "Whose it is.")
    var user = ""
    @Option(help: "What it holds; - for standard input, @FILE for a file.")
    var data = ""
    @Option(help: "It ends when it is not touched for this many seconds; 0: not for that.")
    var idle = 1800
    @Option(help: "It ends after this many seconds in any case.")
    var absolute: Int?
    @Flag(help: "Create the database if there is none.")
    var create = false
    @OptionGroup var json: JSONFlag

    func validate() throws {
        if idle < 0 || absolute.map({ $0 <= 0 }) == true {
            throw ValidationError("A session lasts longer than no time at all.")
        }
    }

    func run() throws {
        let data = try Content(data).bytes()
        let store = try sessions.database.openStoreForWriting(create: create)
        let expiry = SessionExpiry(
            idle: idle == 0 ? nil : .seconds(idle), absolute: absolute.map { .seconds($0) })
        let session = try store.sessions(sessions.collection).create(user: user, data: data, expiry: expiry)
        try store.close()
        try printLines([json.isOn ? jsonText(SessionLine(session)) : "\(session.id)"])
    }
}

struct SessionGet: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Prints what a session holds.",
        discussion: """
            To a file or pipe go exactly the bytes. Reading does not prolong a session, unless --touch asks for it. \
            Exits with 1 if there is no such session, or it has expired.
            """
    )

    @OptionGroup var sessions: SessionArguments
    @Argument(help: "The session: 32 hexadecimal digits.")
    var session: String
    @Flag(help: "Begin its idle time anew.")
    var touch = false
    @Flag(name: .customLong("json"), help: "Print one JSON object with everything that is known of it.")
    var json = false

    func run() throws {
        let id = try sessions.id(session)
        let collection = try touch ? sessions.openForChanging() : sessions.openForReading()
        guard let session = try collection.load(id, touching: touch) else { throw sessions.missing(id) }
        if touch { try collection.store.close() }
        if json { return try printLines([jsonText(SessionLine(session))]) }
        let output = ByteOutput()
        try writeContent(session.data, to: output, isForPeople: isTerminal(1))
        if isTerminal(1) { try output.writeLine() }
        try output.flush()
    }
}

struct SessionPut: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Replaces what a session holds, which counts as a touch.",
        discussion: "Exits with 1 if there is no such session, or it has expired; create begins one."
    )

    @OptionGroup var sessions: SessionArguments
    @Argument(help: "The session: 32 hexadecimal digits.")
    var session: String
    @Argument(help: "What it holds; - for standard input, @FILE for a file.")
    var data: String

    func run() throws {
        let id = try sessions.id(session)
        let data = try Content(data).bytes()
        let collection = try sessions.openForChanging()
        guard try collection.update(id, data: data) else { throw sessions.missing(id) }
        try collection.store.close()
    }
}

struct SessionTouch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "touch",
        abstract: "Begins the idle time of a session anew.",
        discussion: "Exits with 1 if there is no such session, or it has expired."
    )

    @OptionGroup var sessions: SessionArguments
    @Argument(help: "The session: 32 hexadecimal digits.")
    var session: String

    func run() throws {
        let id = try sessions.id(session)
        let collection = try sessions.openForChanging()
        guard try collection.touch(id, durability: .durable) else { throw sessions.missing(id) }
        try collection.store.close()
    }
}

struct SessionDelete: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Ends sessions at once.",
        discussion: "Give sessions, or a user whose sessions all end. A session that is absent is no error.",
        aliases: ["end"]
    )

    @OptionGroup var sessions: SessionArguments
    @Argument(help: "Sessions: 32 hexadecimal digits each.")
    var ids: [String] = []
    @Option(help: "End all sessions of this user.")
    var user: String?
    @OptionGroup var json: JSONFlag

    func validate() throws {
        guard ids.isEmpty != (user == nil) else { throw ValidationError("Give either sessions or --user.") }
    }

    func run() throws {
        let ids = try ids.map { try sessions.id($0) }
        let collection = try sessions.openForChanging()
        let count = try collection.store.transaction { transaction in
            if let user { return try collection.endAll(of: user, in: transaction) }
            return try ids.count { try collection.end($0, in: transaction) }
        }
        try collection.store.close()
        try printLines([json.isOn ? "{\"ended\":\(count)}" : counted(count, "session")])
    }
}

struct SessionList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists sessions, last used first: of a user, or of everybody."
    )

    @OptionGroup var sessions: SessionArguments
    @Option(help: "Only sessions of this user.")
    var user: String?
    @OptionGroup var limit: LimitOption
    @OptionGroup var json: JSONFlag

    func run() throws {
        let collection = try sessions.openForReading()
        let found =
            try user.map { try Array(collection.list(of: $0).prefix(limit.count)) }
            ?? collection.recent(limit: limit.count)
        if json.isOn { return try printLines(found.map { try jsonLine(SessionLine($0)) }) }
        var table = AlignedTable(["session", "user", "last used", "expires"], left: [0, 1, 2, 3])
        for session in found {
            table.add([
                "\(session.id)", displayed(session.user.utf8), readableTime(session.lastActive),
                session.expires.map { readableTime($0) } ?? "-",
            ])
        }
        try printLines(table.lines)
    }
}
