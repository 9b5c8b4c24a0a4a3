// Makes a failing history short enough to read: leaves out every step without which it still fails (delta debugging:
// Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", TSE 2002).

@testable import Apus

/// One run of a history: what went wrong, if anything, and what was done.
struct HistoryRun {
    var failure: String?
    var trace: [String]
    var crashCount: Int

    init(seed: UInt64, steps: [Int]? = nil, isTracing: Bool = false, isPrinting: Bool = false) {
        let history = History(seed: seed, isTracing: isTracing, isPrinting: isPrinting)
        do {
            try history.run(steps: steps)
        } catch {
            failure = "\(error)"
        }
        trace = history.trace
        crashCount = history.crashCount
    }
}

/// The fewest steps found, within a budget of runs, with which the history still fails somehow.
func shrunkSteps(seed: UInt64, runs budget: Int = 400) -> [Int] {
    var steps = Array(0..<History.stepCount(seed: seed))
    var runs = 0
    var chunk = steps.count / 2
    while chunk > 0, runs < budget {
        var start = 0
        var isShorter = false
        while start < steps.count, runs < budget {
            let fewer = Array(steps[..<start] + steps[Swift.min(start + chunk, steps.count)...])
            runs += 1
            if HistoryRun(seed: seed, steps: fewer).failure != nil {
                steps = fewer
                isShorter = true
            } else {
                start += chunk
            }
        }
        if !isShorter || chunk > 1 { chunk /= 2 }
    }
    return steps
}
