// apus-bench: measures Apus and other engines with one loop. README.md says how to run and read it.

import ArgumentParser

@main
struct ApusBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus-bench",
        abstract: "Measures Apus and the engines people would pick instead, all with one loop.",
        subcommands: [
            RunCommand.self, ReportCommand.self, ThresholdsCommand.self, AllocationsCommand.self, ListCommand.self,
            JobCommand.self,
        ],
        defaultSubcommand: nil
    )
}
