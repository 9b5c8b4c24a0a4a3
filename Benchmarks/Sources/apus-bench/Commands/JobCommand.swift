// The hidden subcommand that a child process is started with (Measurement/ChildProcess.swift).

import ArgumentParser
import FoundationEssentials

struct JobCommand: ParsableCommand {
    static let name = "perform-job"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)

    @Argument var job: String

    func run() throws {
        try JSONDecoder().decode(Job.self, from: Data(job.utf8)).perform()
    }
}
