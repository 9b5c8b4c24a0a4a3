// apus torture: kills writers at random moments and verifies what they leave; also the writer and the verifier alone.

import ArgumentParser
import Foundation

struct TortureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "torture",
        abstract: "Proves on your disk that a killed process loses nothing it acknowledged.",
        discussion: """
            Round after round a writer process commits from several threads and acknowledges each commit after its \
            call has returned. It is killed by SIGKILL at a random moment, and another process compares the \
            database with the acknowledgments, entry by entry. The directory must be empty or absent; it is emptied \
            again if nothing was found, and left as it is otherwise.

            The seed decides what is written; the moments of the kills also depend on the machine.

            --writer and --verifier do one half alone, for tools that cut the power or lose unsynced data in \
            between: the article "Torture" of the documentation describes the contract.

            Exit codes: 0 nothing was found; 1 a promise was broken; 2 the torture could not be carried out; \
            64 wrong usage.
            """
    )

    @Argument(help: "An empty directory; for --writer and --verifier the database's.", completion: .directory)
    var directory: String
    @Option(help: "How many times to kill and verify.")
    var rounds = 100
    @Option(help: "Decides what is written. Random unless given, always printed.")
    var seed: UInt64?
    @Option(help: "Threads that write, up to \(TortureWorkload.threadRange.upperBound).")
    var threads = 4
    @Option(help: "Databases that are tortured side by side; one if the file system is filled.")
    var databases = 4
    @Flag(help: "Print the verdict as one JSON object.")
    var json = false
    @Flag(help: "Leave the database in the directory even if nothing was found.")
    var keep = false
    @Option(help: "Seconds that a verification, a close, or going on after a full file system may take.")
    var patience = 120

    @Option(help: ArgumentHelp("Memory that a writer may use, such as 256M.", valueName: "bytes"))
    var memoryLimit: ByteCount?
    @Option(
        help: ArgumentHelp("Size that a writer's files may have, every other moment, such as 1M.", valueName: "bytes")
    )
    var fileSizeLimit: ByteCount?
    @Flag(name: .customLong("fill"), help: "Fill the (small) file system that the directory is on, again and again.")
    var fillsFileSystem = false
    @Option(
        help: ArgumentHelp(
            "Mount a file system in memory of this size at the directory, and --fill it. Linux, as root.",
            valueName: "bytes"
        )
    )
    var fullFileSystem: ByteCount?

    @Flag(help: "Only write, until killed.")
    var writer = false
    @Flag(help: "Only verify.")
    var verifier = false
    @Option(
        help: ArgumentHelp(
            "Where a writer appends its acknowledgments and a verifier reads them; - is standard output or input.",
            valueName: "file"
        )
    )
    var acknowledgments: String?
    @Flag(help: "For --verifier: the system died, too, so relaxed commits may be missing at the end of the order.")
    var powerLoss = false
    @Option(help: "For --writer: end by itself, and close the database, after this many seconds.")
    var seconds: Double?
    @Option(help: ArgumentHelp("For --writer: the database's memory budget.", valueName: "bytes"))
    var memoryBudget = ByteCount(argument: "1M")!
    @Flag(help: "For --writer: log segments, manifests and tables so small that it goes on to new ones all the time.")
    var small = false

    func validate() throws {
        if writer, verifier { throw ValidationError("--writer and --verifier are two processes.") }
        if verifier, acknowledgments == nil { throw ValidationError("--verifier needs --acknowledgments.") }
        if !verifier, powerLoss { throw ValidationError("--power-loss is for --verifier.") }
        if !writer, small { throw ValidationError("--small is for --writer.") }
        if !writer, seconds != nil { throw ValidationError("--seconds is for --writer.") }
        if !writer, !verifier, acknowledgments != nil {
            throw ValidationError("--acknowledgments is for --writer and --verifier.")
        }
        if writer, fileSizeLimit != nil, acknowledgments.map({ $0 != "-" }) ?? false {
            throw ValidationError("--file-size-limit would limit the file of --acknowledgments, too.")
        }
        if !TortureWorkload.threadRange.contains(threads) {
            throw ValidationError("--threads is from 1 to \(TortureWorkload.threadRange.upperBound).")
        }
        if !(1...64).contains(databases) { throw ValidationError("--databases is from 1 to 64.") }
        if rounds < 1 { throw ValidationError("--rounds is at least 1.") }
        if patience < 1 { throw ValidationError("--patience is at least 1.") }
        if let seconds, !(seconds >= 0 && seconds < 1e9) { throw ValidationError("--seconds is not negative.") }
        if memoryBudget.value < 1 << 20 { throw ValidationError("--memory-budget is at least 1M.") }
    }

    func run() throws {
        let code: Int32
        do {
            code = writer ? try runWriter() : verifier ? try runVerifier() : try runSession()
        } catch let failure as Failure {
            throw Failure(failure.message, code: 2)
        } catch {
            throw Failure("\(error)", code: 2)
        }
        if code != 0 { throw Failure("", code: code) }
    }

    private var workload: TortureWorkload {
        TortureWorkload(seed: seed ?? .random(in: 0...9_999_999_999), threads: threads)
    }

    // MARK: - One half alone

    private func runWriter() throws -> Int32 {
        let file = acknowledgments == "-" ? nil : acknowledgments
        let limits = TortureLimits(
            memory: memoryLimit?.value,
            fileSize: fileSizeLimit?.value,
            isFileSystemFull: fillsFileSystem
        )
        let settings = TortureWriter.Settings(
            directory: directory,
            workload: workload,
            memoryBudget: memoryBudget.value,
            isSmall: small,
            seconds: seconds,
            limits: limits
        )
        return try TortureWriter(settings, AcknowledgmentOutput(path: file)).run()
    }

    private func runVerifier() throws -> Int32 {
        let file = acknowledgments ?? "-"
        let input = file == "-" ? ByteInput() : try ByteInput(path: file)
        guard let text = try input.rest(limit: 1 << 30) else {
            throw Failure("\(input.name) has more than \(byteSize(1 << 30)) of acknowledgments")
        }
        let state = try AcknowledgmentState.read(text, crash: powerLoss ? .power : .process)
        if let seed, let known = state.workload, seed != known.seed {
            throw Failure("the acknowledgments are of seed \(known.seed)")
        }
        let verdict = try TortureVerifier.run(directory, state)
        let output = ByteOutput()
        if json {
            try output.writeLine(jsonText(verdict))
        } else {
            let commits = verdict.positions.reduce(0, +)
            try output.writeLine(
                "seed \(verdict.seed): \(counted(verdict.commitsAcknowledged, "commit")) acknowledged, "
                    + "\(grouped(commits)) found, \(grouped(verdict.entriesChecked)) entries checked"
            )
            for line in TortureVerdict.lines(verdict.violations) { try output.writeLine(line) }
        }
        try output.flush()
        return verdict.clean ? 0 : 1
    }

    // MARK: - Round after round

    private func runSession() throws -> Int32 {
        let workload = workload
        complain("torture: seed \(workload.seed)")
        try prepareDirectory()
        let mounted = fullFileSystem.map { SmallFileSystem(directory: directory, byteCount: $0.value) }
        try mounted?.mount()
        let fills = fillsFileSystem || mounted != nil
        let sessions = (0..<(fills ? 1 : databases)).map { index in
            TortureSession.Settings(
                directory: "\(directory)/\(index + 1)",
                workload: TortureWorkload(seed: workload.seed &+ UInt64(index), threads: threads),
                memoryLimit: memoryLimit?.value,
                fileSizeLimit: fileSizeLimit?.value,
                fillsFileSystem: fills,
                patience: .seconds(patience)
            )
        }
        let verdict: TortureVerdict
        do {
            verdict = try TortureTour(rounds: rounds, sessions, showsProgress: isTerminal(2)).run()
        } catch {
            try? mounted?.unmount()
            throw error
        }
        let output = ByteOutput()
        for line in json ? [try jsonText(verdict)] : verdict.lines { try output.writeLine(line) }
        try output.flush()
        guard verdict.clean else {
            complain("torture: what was found is left in \(directory)")
            return 1
        }
        if !keep {
            for session in sessions { try FileManager.default.removeItem(atPath: session.directory) }
            try mounted?.unmount()
        }
        return 0
    }

    /// There must be nothing in it that a verdict could be mistaken about, or that could be lost.
    private func prepareDirectory() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let names = try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0 != "lost+found" }
        guard names.isEmpty else { throw Failure("\(directory) is not empty: it holds \(names.sorted()[0])") }
    }
}
