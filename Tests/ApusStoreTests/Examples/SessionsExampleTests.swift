// The example of the documentation's page on sessions, run as it is printed there. TidyTests holds the two together.

import Apus
import ApusStore
import Foundation
import Testing

@Suite struct SessionsExampleTests {
    @Test func exampleDoesWhatThePageSays() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).apus").path
        defer { try? FileManager.default.removeItem(atPath: directory) }
        // Example begins
        let store = try Store.open(at: directory)
        let sessions = try store.sessions(
            "web", expiry: SessionExpiry(idle: .seconds(1800), absolute: .seconds(86_400)))

        let cookie = try sessions.create(user: "ada", data: Array("cart: empty".utf8)).id.description

        // With every request:
        guard let id = SessionID(cookie), let session = try sessions.load(id, touching: true) else { return }
        try sessions.update(id, data: Array("cart: 1 book".utf8))
        try sessions.cache(Array("<ul>…</ul>".utf8), as: "menu", for: id, lifetime: .seconds(60))
        let menu = try sessions.cached("menu", for: id)

        try sessions.setPreference("theme", to: Array("dark".utf8), of: session.user)
        let preferences = try sessions.preferences(of: "ada")

        for session in try sessions.recent(limit: 10) { print(session.user, session.lastActive) }
        let devices = try sessions.list(of: "ada")
        try sessions.endAll(of: "ada")  // at once, wherever she is logged in
        let remaining = try sessions.list(of: "ada")
        try store.close()
        // Example ends
        #expect(menu != nil && preferences.keys.sorted() == ["theme"])
        #expect(devices.map(\.data) == [Array("cart: 1 book".utf8)] && remaining.isEmpty)
    }
}
