// What the engine counts while it runs. Hot counters are striped over cache lines, so that two readers do not fight for
// one; everything is summed up when somebody asks.

import ApusIO
import CoreMetrics
import Histogram
import Synchronization

final class Counters: Sendable {
    /// Guards log preparation: one job at a time.
    let isPreparingLog = Atomic(false)

    private struct Totals {
        var flushes: UInt64 = 0
        var flushedBytes: UInt64 = 0
        var compactions: UInt64 = 0
        var compactionBytesRead: UInt64 = 0
        var compactionBytesWritten: UInt64 = 0
        var stallNanoseconds: UInt64 = 0
        var stalls: UInt64 = 0
        /// From 1 µs to 100 s with two significant digits.
        var syncs = Histogram<UInt64>(
            lowestDiscernibleValue: 1, highestTrackableValue: 100_000_000, numberOfSignificantValueDigits: .two)
        /// The same by powers of two: place n has those of up to 2^n µs.
        var syncBuckets = [UInt64](repeating: 0, count: 63)
    }

    private let totals = Monitor(Totals())
    // Only the commit leader adds to these.
    private let commits = Atomic<UInt64>(0)
    private let entries = Atomic<UInt64>(0)
    private let userBytes = Atomic<UInt64>(0)
    private let reads = StripedCounter()
    /// What the metrics have been told. The commit leader's.
    @exclusivity(unchecked) nonisolated(unsafe) private var reported: (commits: UInt64, entries: UInt64) = (0, 0)

    // The metrics go to whatever backend the process has bootstrapped; without one they cost a call that does nothing.
    private let commitMetric = Counter(label: "apus.commits")
    private let entryMetric = Counter(label: "apus.entries_written")
    private let flushMetric = Counter(label: "apus.flushed_bytes")
    private let compactionMetric = Counter(label: "apus.compacted_bytes")
    private let stallMetric = CoreMetrics.Timer(label: "apus.stall")
    private let syncMetric = CoreMetrics.Timer(label: "apus.sync")

    @inline(__always)
    func recordRead() { reads.increment() }

    @inline(__always)
    func recordCommit(entries: Int, byteCount: Int) {
        Self.add(1, to: commits)
        Self.add(UInt64(entries), to: self.entries)
        Self.add(UInt64(byteCount), to: userBytes)
    }

    /// Passes what has been committed on to the metrics. Called by the leader now and then: a backend costs more than a
    /// small commit.
    func reportCommits() {
        let commits = commits.load(ordering: .relaxed)
        let entries = entries.load(ordering: .relaxed)
        commitMetric.increment(by: Int64(clamping: commits &- reported.commits))
        entryMetric.increment(by: Int64(clamping: entries &- reported.entries))
        reported = (commits, entries)
    }

    /// One writer: no read-modify-write instruction needed.
    @inline(__always)
    private static func add(_ amount: UInt64, to total: borrowing Atomic<UInt64>) {
        total.store(total.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    func recordSync(nanoseconds: UInt64) {
        let microseconds = Swift.max(1, nanoseconds / 1_000)
        totals.withLock {
            _ = $0.syncs.record(microseconds)
            $0.syncBuckets[UInt64.bitWidth - (microseconds - 1).leadingZeroBitCount] += 1
        }
        syncMetric.recordNanoseconds(Int64(clamping: nanoseconds))
    }

    func recordStall(nanoseconds: UInt64) {
        totals.withLock {
            $0.stalls += 1
            $0.stallNanoseconds += nanoseconds
        }
        stallMetric.recordNanoseconds(Int64(clamping: nanoseconds))
    }

    /// - Parameter byteCount: of tables and blob files.
    func recordFlush(byteCount: UInt64) {
        totals.withLock {
            $0.flushes += 1
            $0.flushedBytes += byteCount
        }
        flushMetric.increment(by: byteCount)
    }

    func recordCompaction(bytesRead: UInt64, _ output: CompactionOutput?) {
        totals.withLock {
            $0.compactions += 1
            $0.compactionBytesRead += bytesRead
            $0.compactionBytesWritten += output?.bytesWritten ?? 0
        }
        compactionMetric.increment(by: output?.bytesWritten ?? 0)
    }

    func fill(_ statistics: inout Statistics) {
        statistics.reads = reads.sum
        statistics.commits = commits.load(ordering: .relaxed)
        statistics.entriesWritten = entries.load(ordering: .relaxed)
        statistics.userBytesWritten = userBytes.load(ordering: .relaxed)
        totals.withLock { totals in
            statistics.flushes = totals.flushes
            statistics.flushedBytes = totals.flushedBytes
            statistics.compactions = totals.compactions
            statistics.compactionBytesRead = totals.compactionBytesRead
            statistics.compactionBytesWritten = totals.compactionBytesWritten
            statistics.stalls = totals.stalls
            statistics.stallTime = .nanoseconds(Int64(clamping: totals.stallNanoseconds))
            statistics.syncs = totals.syncs.totalCount
            statistics.syncLatency = Statistics.Latency(
                p50: .microseconds(Int64(totals.syncs.valueAtPercentile(50))),
                p99: .microseconds(Int64(totals.syncs.valueAtPercentile(99))),
                p999: .microseconds(Int64(totals.syncs.valueAtPercentile(99.9))),
                maximum: .microseconds(Int64(totals.syncs.max)),
                histogram: totals.syncBuckets.enumerated().filter { $0.element > 0 }
                    .map { (.microseconds(Int64(1) << $0.offset), $0.element) })
        }
    }
}

/// A counter that many threads increment.
///
/// Invariant of the unsafe part: `cells` holds `count` cells, 128 bytes apart, allocated and zeroed once (a zeroed
/// `Atomic` holds zero).
final class StripedCounter: @unchecked Sendable {
    private static let count = 16
    private static let stride = 128
    private let cells: UnsafeMutableRawPointer

    init() {
        cells = .allocate(byteCount: Self.count * Self.stride, alignment: Self.stride)
        cells.initializeMemory(as: UInt8.self, repeating: 0, count: Self.count * Self.stride)
    }

    deinit { cells.deallocate() }

    /// Threads have their stacks megabytes apart: a local variable's address tells them apart without a call.
    @inline(__always)
    func increment() {
        var local: UInt8 = 0
        let address = withUnsafeMutablePointer(to: &local) { UInt(bitPattern: $0) }
        cell(Int(truncatingIfNeeded: (address >> 20) ^ (address >> 24)) & (Self.count - 1))
            .wrappingAdd(1, ordering: .relaxed)
    }

    var sum: UInt64 {
        (0..<Self.count).reduce(0) { $0 &+ cell($1).load(ordering: .relaxed) }
    }

    @inline(__always)
    private func cell(_ index: Int) -> UnsafePointer<Atomic<UInt64>> {
        UnsafePointer((cells + index &* Self.stride).assumingMemoryBound(to: Atomic<UInt64>.self))
    }
}

extension UnsafePointer where Pointee == Atomic<UInt64> {
    @inline(__always)
    fileprivate func wrappingAdd(_ value: UInt64, ordering: AtomicUpdateOrdering) {
        pointee.wrappingAdd(value, ordering: .relaxed)
    }

    @inline(__always)
    fileprivate func load(ordering: AtomicLoadOrdering) -> UInt64 { pointee.load(ordering: .relaxed) }
}
