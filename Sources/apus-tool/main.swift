// Entry point of the command: parses, runs, and turns every error into one sentence on stderr and an exit code.
//
//   0  done
//   1  the operation failed, or `get` found no such key
//   2  the database is damaged
//   64 the command line makes no sense, or a query or JSON that it was given

import Apus
import ApusStore
import ArgumentParser
import Foundation

openStandardStreams()
do {
    try checkArguments()
    var command = try ApusCommand.parseAsRoot()
    try command.run()
} catch {
    finish(with: error)
}

/// Reports `error` and ends the process.
func finish(with error: any Error) -> Never {
    if let failure = error as? Failure {
        if !failure.message.isEmpty { complain(failure.message) }
        exit(failure.code)
    }
    if let error = error as? ApusError {
        complain(error.description)
        exit(error.kind == .corruption ? 2 : 1)
    }
    if let error = error as? StoreError {
        complain(displayed(error.description.utf8))
        exit(error.kind == .corruption ? 2 : error.kind == .invalidQuery ? 64 : 1)
    }
    let code = ApusCommand.exitCode(for: error)
    guard code == .validationFailure else { ApusCommand.exit(withError: error) }
    // "Error: …" and the usage line below it.
    let message = ApusCommand.fullMessage(for: error)
    complain(message.hasPrefix("Error: ") ? String(message.dropFirst(7)) : message)
    exit(code.rawValue)
}
