// apus torture: a few rounds are clean, and each kind of lie or damage is found out.

import Apus
import Foundation
import Testing

@testable import apus_tool

@Suite struct TortureTests {
    struct Verdict: Decodable {
        var clean: Bool
        var rounds: Int
        var kills: Int
        var cleanCloses: Int
        var commitsAcknowledged: Int
        var commitsVerified: Int
        var recoveries: Int
        var violations: [String]
    }

    // MARK: Rounds

    @Test(arguments: [[], ["--file-size-limit", "256K"], ["--memory-limit", "1G"]])
    func roundsAreClean(limits: [String]) throws {
        let tool = try Tool()
        let result = try tool.run(
            ["torture", "work", "--rounds", "4", "--seed", "3", "--databases", "2", "--json"] + limits
        )
        #expect(result.errors.contains("seed 3"))
        let verdict = try result.json(Verdict.self)
        #expect(result.code == 0 && verdict.clean, "\(verdict.violations) \(result.errors)")
        // A round ends with a kill, or with a writer that was quicker and closed the database.
        #expect(verdict.rounds == 4 && verdict.kills + verdict.cleanCloses >= 4 && verdict.recoveries >= 8)
        #expect(verdict.commitsVerified >= verdict.commitsAcknowledged)
        #expect(try FileManager.default.contentsOfDirectory(atPath: tool.directory.path + "/work").isEmpty)
    }

    @Test func whatCannotBeDoneIsRefused() throws {
        let tool = try Tool()
        try tool.write("full/file", "x")
        let full = try tool.run("torture", "full", "--rounds", "1")
        #expect(full.code == 2 && full.errors.contains("not empty"))
        try #expect(tool.run("torture", "w", "--writer", "--verifier").code == 64)
        try #expect(tool.run("torture", "w", "--verifier").code == 64)
        try #expect(tool.run("torture", "w", "--rounds", "0").code == 64)
        try #expect(tool.run("torture", "w", "--memory-limit", "2X").code == 64)
        try #expect(tool.run("torture", "w", "--verifier", "--acknowledgments", "absent").code == 2)
    }

    // MARK: One half alone

    /// A database with its acknowledgments, and ways to lie about them.
    private struct Scene {
        let tool = try! Tool()
        var lines: [String] = []

        init(killed: Bool) throws {
            if killed {
                try tool.runAndKill("torture", "w", "--writer", "--seed", "9", "--acknowledgments", "log") { [tool] in
                    (try? tool.read("log"))?.count ?? 0 > 2_000
                }
            } else {
                try tool.run(
                    "torture", "w", "--writer", "--seed", "9", "--acknowledgments", "log", "--seconds", "0.2"
                )
            }
            let text = String(decoding: try tool.read("log"), as: UTF8.self)
            lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
        }

        /// Commits of thread 0 that the lines acknowledge.
        var count: Int {
            lines.last { $0.hasPrefix("durable 0 ") || $0.hasPrefix("relaxed 0 ") }
                .flatMap { Int($0.dropFirst(10)) } ?? 0
        }

        func verdict(_ lines: [String], tail: String = "", _ options: String...) throws -> Tool.Result {
            try tool.write("lie", lines.map { $0 + "\n" }.joined() + tail)
            return try tool.run(["torture", "w", "--verifier", "--acknowledgments", "lie"] + options)
        }
    }

    @Test func aWriterThatEndsByItselfHasLostNothing() throws {
        let scene = try Scene(killed: false)
        #expect(scene.lines.first == "workload 1 9 4" && scene.lines.last == "closed")
        #expect(scene.count > 0)
        let result = try scene.verdict(scene.lines)
        #expect(result.code == 0 && result.lines.last == "clean", "\(result.text)")
        // It has written nothing that a second verification would mistake.
        try #expect(scene.verdict(scene.lines).code == 0)
    }

    @Test func lostCommitsAreFound() throws {
        let scene = try Scene(killed: true)
        let count = scene.count
        try #expect(scene.verdict(scene.lines).code == 0)
        // Half a line says nothing, whatever it says.
        try #expect(scene.verdict(scene.lines, tail: "durable 0 \(count + 9)").code == 0)
        for (kind, isLossAfterPowerLoss) in [("durable", true), ("relaxed", false)] {
            let lie = scene.lines + (1...2).map { "\(kind) 0 \(count + $0)" }
            let result = try scene.verdict(lie)
            #expect(result.code == 1 && result.text.contains("lost: "), "\(kind): \(result.text)")
            try #expect(scene.verdict(lie, "--power-loss").code == (isLossAfterPowerLoss ? 1 : 0), "\(kind)")
        }
    }

    @Test func commitsThatNobodyBeganAreFound() throws {
        let scene = try Scene(killed: false)
        #expect(scene.count >= 2)
        let prefixes = ["durable 0 ", "relaxed 0 ", "single 0 ", "single-durable 0 "]
        let lie = scene.lines.filter { line in !prefixes.contains { line.hasPrefix($0) } }
        let result = try scene.verdict(lie)
        #expect(result.code == 1 && result.text.contains("were begun"), "\(result.text)")
    }

    @Test func everyWrongEntryIsFound() throws {
        let scene = try Scene(killed: false)
        for (arguments, complaint) in [
            (["put", "w", "-k", "values", "t00/g3/99999", "x"], "which nobody wrote"),
            (["put", "w", "-k", "lists", "t01/position", "12345678"], "not \""),
            (["delete", "w", "-k", "blobs", "t02/position"], "is not there"),
            (["delete", "w", "-k", "control", "total"], "total is not there"),
            (["put", "w", "-k", "singles", "t00/single/3", "x"], "what thread 0 wrote between its"),
            (["put", "w", "-k", "singles", "t99", "x"], "entries that nobody wrote"),
            (["put", "w", "-k", "control", "account/1", "12345678"], "account/1 is"),
        ] {
            try FileManager.default.copyItem(
                atPath: scene.tool.directory.path + "/w", toPath: scene.tool.directory.path + "/copy")
            defer { try? FileManager.default.removeItem(atPath: scene.tool.directory.path + "/copy") }
            try #expect(scene.tool.run(arguments.map { $0 == "w" ? "copy" : $0 }).code == 0)
            let result = try scene.tool.run("torture", "copy", "--verifier", "--acknowledgments", "log")
            #expect(result.code == 1 && result.text.contains(complaint), "\(arguments): \(result.text)")
        }
        // Another seed writes something else everywhere.
        let lie = ["workload 1 10 4"] + scene.lines.dropFirst()
        let result = try scene.verdict(lie)
        #expect(result.code == 1 && result.text.contains("the database is of"), "\(result.text)")
    }

    @Test func acknowledgmentsThatMakeNoSenseProveNothing() throws {
        let scene = try Scene(killed: false)
        for lie in [
            scene.lines + ["durable 0"], scene.lines + ["single 0 \(scene.count + 1)"],
            scene.lines + ["durable 77 1"], Array(scene.lines.dropFirst()),
            scene.lines + ["workload 1 10 4"], scene.lines + ["relaxed 0 \(scene.count + 5)"], scene.lines + [""],
        ] {
            let result = try scene.verdict(lie)
            #expect(result.code == 2 && result.errors.contains("acknowledgments"), "\(lie.last ?? "")")
        }
        try #expect(scene.verdict(scene.lines + ["violation seen"]).code == 1)
    }

    @Test func aWriterThatHasNotBegunHasLostNothing() throws {
        let tool = try Tool()
        for (text, code) in [("", 0), ("workload 1 5 2\n", 0), ("workload 1 5 2\nfound 0 0\nfound 1 0\n", 1)] {
            try tool.write("log", text)
            let result = try tool.run("torture", "none", "--verifier", "--acknowledgments", "log")
            #expect(result.code == Int32(code), "\(text) \(result.text) \(result.errors)")
            try? FileManager.default.removeItem(atPath: tool.directory.path + "/none")
        }
    }

    @Test func aLostSingleWriteIsFound() {
        let workload = TortureWorkload(seed: 9, threads: 2)
        // The first commit of thread 1 that is followed by a single write which makes a difference.
        let count = (2...200).first { workload.singles(1, after: $0) != workload.singles(1, after: $0 - 1) }!
        let others = workload.singles(0, after: 40)
        func mistakes(_ own: [Entry], isAcknowledged: Bool) -> [String] {
            TortureVerifier.singleMistakes(others + own, workload, positions: [40, count]) { _ in isAcknowledged }
        }
        let (all, earlier) = (workload.singles(1, after: count), workload.singles(1, after: count - 1))
        #expect(mistakes(all, isAcknowledged: true).isEmpty && mistakes(all, isAcknowledged: false).isEmpty)
        #expect(mistakes(earlier, isAcknowledged: false).isEmpty)
        #expect(mistakes(earlier, isAcknowledged: true).count == 1)
        // A commit of the thread follows, so the write before it cannot be missing.
        let later = (count + 1...400).first { workload.singles(1, after: $0) != all }!
        let found = TortureVerifier.singleMistakes(others + earlier, workload, positions: [40, later + 1]) { _ in
            false
        }
        #expect(found.count == 1)
    }

    @Test func acknowledgedSingleWritesAreRemembered() throws {
        var state = AcknowledgmentState(.process)
        for line in ["workload 1 9 2", "found 0 0", "found 1 0", "durable 1 1", "single 1 1"] {
            try state.apply(Acknowledgment(line)!)
        }
        #expect(state.requiresSingle(1, after: 1) && !state.requiresSingle(0, after: 1))
        var power = AcknowledgmentState(.power)
        // A summary says the same as the lines that it stands for.
        for acknowledgment in state.summary { try power.apply(Acknowledgment(acknowledgment.line)!) }
        #expect(power.summary == state.summary && !power.requiresSingle(1, after: 1))
        try power.apply(Acknowledgment("single-durable 1 1")!)
        #expect(power.requiresSingle(1, after: 1) && power.summary.last?.line == "single-durable 1 1")
        #expect(throws: (any Error).self) { try power.apply(.single(thread: 1, count: 2, isDurable: false)) }
    }

    // MARK: What is written

    @Test func theSeedDecidesTheContentOnEveryPlatform() {
        let workload = TortureWorkload(seed: 42, threads: 3)
        let model = TortureModel(workload, positions: [0, 0, 200])
        var digest: UInt64 = 0xCBF2_9CE4_8422_2325
        for entry in model.entries.joined() {
            for byte in entry.key + entry.value.prefix(100) {
                digest = (digest ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
            }
        }
        #expect(digest == 14_755_698_662_108_715_096)
        let value = workload.bytes(TortureValue(thread: 2, commit: 7, operation: 1, byteCount: 99))
        #expect(value.count == 99 && value.starts(with: Array("2.7.1;".utf8)))
    }

    @Test func wholeEpochsMoveNothing() {
        let workload = TortureWorkload(seed: 1, threads: 2)
        let epoch = TortureWorkload.commitsPerEpoch
        let half = TortureModel(workload, positions: [epoch / 2, 0])
        #expect(half.accounts.contains { $0 != 0 } && half.accounts.reduce(0, +) == 0)
        #expect(TortureModel(workload, positions: [epoch, 5 * epoch]).accounts.allSatisfy { $0 == 0 })
        // A region that is filled again holds nothing of its former life.
        let again = TortureModel(workload, positions: [4 * epoch + 1, 0])
        let region = Array(TortureWorkload.regionPrefix(0, 0).utf8)
        let filled = again.entries.joined().filter { $0.key.starts(with: region) }.count
        #expect(filled <= workload.commit(0, 4 * epoch).operations.count)
    }
}
