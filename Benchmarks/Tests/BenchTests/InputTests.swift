// What is read from the command line, from the machine and from libraries' files.

import FoundationEssentials
import Testing

@testable import apus_bench

struct InputTests {
    @Test func workloadsAreAKindAndThreads() {
        #expect(Workload("fillsync@16") == Workload(kind: .fillsync, threads: 16))
        #expect(Workload("ycsb-a")?.threadCount(standard: 4) == 4)
        #expect(Workload("fillsync@16")?.description == "fillsync@16")
        for wrong in ["", "fill", "readseq@", "readseq@0", "readseq@65", "readseq@x", "open@2", "bulkload@2"] {
            #expect(Workload(wrong) == nil, "\(wrong)")
        }
        #expect(Workload("open")?.threadCount(standard: 4) == 1)
    }

    @Test func standardWorkloadsAreEveryKind() {
        #expect(Set(Workload.standard.map(\.kind)) == Set(WorkloadKind.allCases))
        let names = Set(Workload.standard.map(\.description))
        #expect(names.isSuperset(of: ["fillsync@1", "fillsync@8", "fillsync@16", "readrandom@1", "readrandom@2"]))
    }

    @Test func sizesAreBytesAndPerhapsEntries() {
        #expect(DataSize("6144@50000") == DataSize("6144@50000"))
        #expect(DataSize("6144@50000")?.entries == 50_000)
        #expect(DataSize("100")?.entries == nil)
        for wrong in ["", "0", "-1", "x", "100@", "100@0", "100@x", "99999999999"] {
            #expect(DataSize(wrong) == nil, "\(wrong)")
        }
    }

    @Test func everyOperationBelongsToOneThread() {
        let plan = Plan(kind: .readrandom, entries: 1_003, threads: 4, valueByteCount: 10, seed: 1)
        #expect((0..<4).flatMap { Array(plan.share(of: $0)) } == Array(0..<1_003))
        let inserted = (0..<4).flatMap { thread in (0..<100).map { plan.insertion($0, by: thread) } }
        #expect(Set(inserted).count == inserted.count)
    }

    @Test func fileSystemIsThatOfTheInnermostMount() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /data tmpfs rw 0 0\n/dev/b /data/disk xfs rw 0 0\n"
        #expect(Machine.fileSystem(of: "/home", mounts: mounts) == "ext4")
        #expect(Machine.fileSystem(of: "/data/x", mounts: mounts) == "tmpfs")
        #expect(Machine.fileSystem(of: "/data/disk/x", mounts: mounts) == "xfs")
        #expect(Machine.fileSystem(of: "/data/disks", mounts: mounts) == "tmpfs")
    }

    @Test func filesOfTheKernelAreReadToTheirEnd() throws {
        let maps = try #require(KernelFile.text("/proc/self/maps"))
        // More than one page, which is where a single read of this file ends.
        #expect(maps.utf8.count > 4_096)
        #expect(maps.contains("[stack]"))
        #expect(KernelFile.text("/proc/self/no-such-file") == nil)
    }

    @Test func librariesTellHowTheyWereBuilt() {
        let asserting = Data("x\0__assert_fail\0y".utf8)
        #expect(LibraryBuild.describe(asserting, usesCRC32C: false) == "assertions on")
        #expect(LibraryBuild.describe(Data("x\0y".utf8), usesCRC32C: false) == "assertions off")
        #if arch(x86_64)
        let fast = LibraryBuild.describe(Data([0, 0xF2, 0x48, 0x0F, 0x38, 0xF1, 0]), usesCRC32C: true)
        #expect(fast == "assertions off, CRC32C by instruction")
        #expect(!LibraryBuild.isSlow(fast))
        let slow = LibraryBuild.describe(Data([0xF2, 0x48, 0x0F, 0x38]), usesCRC32C: true)
        #expect(slow == "assertions off, CRC32C without the instruction")
        #expect(LibraryBuild.isSlow(slow))
        #endif
    }

    @Test func databaseTenTimesTheMemoryIsSaidToBe() throws {
        var measurement = try #require(
            try ResultFile.measurements(
                in: Data(
                    contentsOf: URL(filePath: #filePath).deletingLastPathComponent()
                        .appending(path: "Fixtures/results.jsonl")
                ),
                name: "results.jsonl"
            ).first
        )
        #expect(Conditions(measurement).title.hasSuffix("256 MiB: data fit the cache"))
        measurement.askedMemoryBudget = 11_600_000
        #expect(Conditions(measurement).title.hasSuffix("11 MiB: data are 10 × the memory budget"))
    }
}
