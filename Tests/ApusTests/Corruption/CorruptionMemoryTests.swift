// Damage never costs memory: a length that a flipped bit has made huge is refused, not believed. Measured as the
// greatest memory that a process has ever had, in a process of its own, so that no other test counts.

import ApusSimulation
import Testing

@testable import Apus

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The greatest amount of memory that this process has had so far.
enum PeakMemory {
    static var byteCount: Int {
        var usage = rusage()
        #if canImport(Glibc)
        guard getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        #else
        guard getrusage(RUSAGE_SELF, &usage) == 0 else { return 0 }
        #endif
        #if canImport(Darwin)
        return usage.ru_maxrss
        #else
        return usage.ru_maxrss << 10
        #endif
    }
}

@Suite("Memory for corrupted databases")
struct CorruptionMemoryTests {
    /// What the sweep may add to what looking at the sound databases took. Each of them has a budget of 1 MiB; the rest
    /// is what the allocator keeps.
    private static let limit = 48 << 20

    @Test("looking at a damaged database takes hardly more memory than looking at a sound one")
    func bounded() async throws {
        await #expect(processExitsWith: .success) {
            let samples = try CorruptionSample.Kind.all.map { try CorruptionSample($0) }
            for sample in samples {
                for isReadOnly in [true, false] {
                    _ = try sample.check(CorruptionMutation(what: "", change: [:]), isReadOnly: isReadOnly)
                }
            }
            let before = PeakMemory.byteCount
            #expect(before > 0)
            for sample in samples { try CorruptionMemoryTests.sweep(sample) }
            let growth = PeakMemory.byteCount - before
            #expect(growth < CorruptionMemoryTests.limit, "memory grew by \(growth >> 20) MiB")
        }
    }

    /// High bytes of every field that a length may be in, lengths, and mutations of all kinds. Whether what is found is
    /// right is asked elsewhere.
    private static func sweep(_ sample: CorruptionSample) throws {
        for (index, name) in sample.files.keys.sorted().enumerated() {
            let bytes = sample.files[name]!
            let used = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
            let step = isFullSweep ? 1 : used < 200 ? 5 : 61
            for position in Swift.stride(from: index % step, to: used, by: step) {
                var changed = bytes
                changed[position] ^= 0xC0
                _ = try? sample.check(CorruptionMutation(what: name, change: [name: changed]), isReadOnly: true)
            }
        }
        for seed in 0..<UInt64(isFullSweep ? 1_000 : 40) {
            var random = TestRandom(seed: seed)
            let mutation = CorruptionMutation.random(sample, &random)
            _ = try? sample.check(mutation, isReadOnly: seed % 5 != 0)
        }
    }
}
