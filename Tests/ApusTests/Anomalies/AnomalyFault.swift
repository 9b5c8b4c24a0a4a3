// The errors of the anomaly sweep: which calls each can strike, and how.

import ApusIO
import ApusSimulation

@testable import Apus

enum AnomalyFault: String, CaseIterable {
    case inputOutput, noSpace, overQuota, interrupted, tooManyOpenFiles, halfDone, afterwards, syncDropsPages, stop

    /// EINTR has no name in `ErrorCode`: the POSIX layer never lets it through. Another file system might.
    private static let interruptedCode: Int32 = 4

    private var effect: Fault.Effect {
        switch self {
        case .inputOutput: .fail(ErrorCode.inputOutput)
        case .noSpace: .fail(ErrorCode.noSpace)
        case .overQuota: .fail(ErrorCode.overQuota)
        case .interrupted: .fail(Self.interruptedCode)
        case .tooManyOpenFiles: .fail(ErrorCode.tooManyOpenFiles)
        case .halfDone: .failHalfway(ErrorCode.noSpace)
        case .afterwards: .failAfterwards(ErrorCode.inputOutput)
        case .syncDropsPages: .failDroppingUnsynced(ErrorCode.inputOutput)
        case .stop: .stop
        }
    }

    /// Whether a call can fail in this way.
    func concerns(_ operation: DiskOperation) -> Bool {
        switch self {
        case .inputOutput, .interrupted, .stop: true
        case .noSpace, .overQuota, .afterwards: operation.isMutation
        case .tooManyOpenFiles: [.open, .list, .lock, .synchronizeDirectory].contains(operation.kind)
        case .halfDone: [.write, .allocate].contains(operation.kind)
        case .syncDropsPages: operation.kind == .synchronize
        }
    }

    /// Strikes the call of that number among those that it concerns; from there on all of them if it is persistent.
    func fault(at number: Int, isPersistent: Bool) -> Fault {
        Fault(effect, skipping: number, times: isPersistent ? nil : 1) { concerns($0) }
    }
}
