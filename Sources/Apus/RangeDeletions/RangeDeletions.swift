// Local stand-in with the final signatures.

import ApusIO

struct RangeDeletion: Hashable, Sendable {
    var start: [UInt8]
    var end: [UInt8]
    var sequence: SequenceNumber
}

final class RangeDeletions: Sendable {
    private let deletions: [RangeDeletion]

    init(_ deletions: [RangeDeletion]) { self.deletions = deletions }

    var isEmpty: Bool { deletions.isEmpty }
    func all() -> [RangeDeletion] { deletions }

    func newestSequence(covering key: UnsafeRawBufferPointer, atMost limit: SequenceNumber) -> SequenceNumber {
        var newest = SequenceNumber.zero
        for deletion in deletions where deletion.sequence <= limit && deletion.sequence > newest {
            let covers = deletion.start.withUnsafeBytes { compareBytes($0, key) <= 0 }
                && deletion.end.withUnsafeBytes { compareBytes(key, $0) < 0 }
            if covers { newest = deletion.sequence }
        }
        return newest
    }
}
