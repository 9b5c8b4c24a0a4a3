// What one operation of Apus may cost in instructions and in heap allocations. The file with the figures belongs to the
// sources: a change that makes an operation dearer fails until somebody decides that it may.

import FoundationEssentials

/// Per operation, by the names that apus-probe gives to operations.
struct OperationCosts: Codable, Equatable {
    var instructions: [String: Double]
    var allocations: [String: Double]
}

struct Thresholds: Codable, Equatable {
    var costs: OperationCosts
    /// What a figure may exceed its threshold by: counts vary a little from run to run.
    var slackPercent: Double
    /// The compiler and the processor, by which instruction counts differ.
    var recordedWith: String

    /// Allocations hardly vary, but a growing buffer may fall into one run and not into another.
    static let allocationSlack = 0.02

    enum CodingKeys: String, CodingKey {
        case costs = "per_operation"
        case slackPercent = "slack_percent"
        case recordedWith = "recorded_with"
    }

    init(costs: OperationCosts, slackPercent: Double, recordedWith: String) {
        self.costs = costs
        self.slackPercent = slackPercent
        self.recordedWith = recordedWith
    }

    init(path: String) throws {
        guard let contents = FileManager.default.contents(atPath: path) else {
            throw BenchmarkError("cannot read \(path); --update writes it")
        }
        do {
            self = try JSONDecoder().decode(Thresholds.self, from: contents)
        } catch {
            throw BenchmarkError("\(path) holds no thresholds; --update writes it anew")
        }
    }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        do {
            try (encoder.encode(self) + [UInt8(ascii: "\n")]).write(to: URL(filePath: path))
        } catch {
            throw BenchmarkError("cannot write \(path)")
        }
    }

    /// One sentence for each figure that is too high or that has no threshold, and for each threshold without a figure.
    func offences(of measured: OperationCosts) -> [String] {
        compare("instructions", measured.instructions, costs.instructions, slack: 0)
            + compare("allocations", measured.allocations, costs.allocations, slack: Self.allocationSlack)
    }

    /// One sentence for each figure that is so far below its threshold that the threshold no longer guards it.
    func gains(of measured: OperationCosts) -> [String] {
        measured.instructions.sorted { $0.key < $1.key }.compactMap { name, value in
            guard let limit = costs.instructions[name], value < limit * (1 - slackPercent / 100) else { return nil }
            return "\(name): \(Self.text(value)) instructions, threshold \(Self.text(limit)): --update lowers it"
        }
    }

    private func compare(
        _ what: String,
        _ measured: [String: Double],
        _ limits: [String: Double],
        slack: Double
    ) -> [String] {
        Set(measured.keys).union(limits.keys).sorted().compactMap { name in
            guard let value = measured[name] else { return "\(name): \(what) were not counted" }
            guard let limit = limits[name] else {
                return "\(name): \(Self.text(value)) \(what), but there is no threshold; --update records one"
            }
            guard value > limit * (1 + slackPercent / 100) + slack else { return nil }
            return "\(name): \(Self.text(value)) \(what), threshold \(Self.text(limit))"
        }
    }

    static func text(_ value: Double) -> String { value.formatted(fractionDigits: 2) }
}
