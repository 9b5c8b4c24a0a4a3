// Collects the report of a salvage while it runs.

import ApusIO

/// One thread.
final class SalvageRecorder {
    private(set) var losses: [SalvageReport.Loss] = []
    private(set) var omittedLosses: UInt64 = 0
    private var keyspaces: [UInt32: SalvageReport.Keyspace] = [:]

    private static let lossLimit = 1_000_000

    var report: SalvageReport {
        SalvageReport(
            keyspaces: keyspaces.values.sorted { $0.name < $1.name },
            losses: losses,
            omittedLosses: omittedLosses
        )
    }

    /// Returns what `close` takes, or nil if the list is full.
    @discardableResult
    func lose(_ loss: SalvageReport.Loss) -> Int? {
        guard losses.count < Self.lossLimit else {
            omittedLosses += 1
            return nil
        }
        losses.append(loss)
        return losses.count - 1
    }

    func lose(_ loss: SalvageLoss) {
        lose(SalvageReport.Loss(file: loss.file, offset: loss.offset, byteCount: loss.byteCount, what: loss.what))
    }

    /// A file, or the rest of one, that cannot be read.
    func lose(_ error: ApusError, in directory: String, keyspace: String? = nil) {
        lose(
            SalvageReport.Loss(
                file: error.file ?? directory,
                offset: error.offset ?? 0,
                what: error.message,
                keyspace: keyspace
            )
        )
    }

    /// The first sound entry behind the losses is that of `key`.
    func close(_ indices: [Int], at key: [UInt8]) {
        for index in indices { losses[index].upperKey = key }
    }

    func recovered(_ id: UInt32, _ name: String, entries: UInt64 = 0, rangeDeletions: UInt64 = 0) {
        var keyspace = keyspaces[id] ?? SalvageReport.Keyspace(name: name)
        keyspace.entries += entries
        keyspace.rangeDeletions += rangeDeletions
        keyspaces[id] = keyspace
    }
}

extension ApusError {
    /// Whether what a salvage reads is damaged or gone, so that it goes on with the rest; anything else (no permission,
    /// no file descriptors) it must not take for a loss.
    var isLoss: Bool {
        switch kind {
        case .corruption: true
        case .io: systemCode == ErrorCode.inputOutput || systemCode == ErrorCode.notFound
        default: false
        }
    }
}
