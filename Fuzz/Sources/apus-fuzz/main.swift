// apus-fuzz: one fuzzer by its name, or the seeds of all of them.
//
//   apus-fuzz list                                 names, with what each does
//   apus-fuzz seeds <directory>                    writes <directory>/<fuzzer>/<seed>
//   apus-fuzz <fuzzer> [libFuzzer's arguments]     APUS_FUZZ_TARGET=<fuzzer> apus-fuzz … does the same

import Foundation

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The fuzzer that this process runs.
private enum Chosen {
    nonisolated(unsafe) static var run: (@Sendable (UnsafeRawBufferPointer) -> Void)!
}

private func fuzz(_ target: FuzzTarget, _ arguments: [String]) -> CInt {
    // libFuzzer starts itself again, with its own arguments, to merge and to minimize.
    setenv("APUS_FUZZ_TARGET", target.name, 1)
    Chosen.run = target.run
    let all = [CommandLine.arguments[0], "-max_len=\(target.maximumByteCount)"] + arguments
    let strings = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: all.count + 1)
    for (index, argument) in all.enumerated() { strings[index] = strdup(argument) }
    strings[all.count] = nil
    var (count, pointer) = (CInt(all.count), strings)
    return runDriver(&count, &pointer) { data, byteCount in
        Chosen.run(UnsafeRawBufferPointer(start: data, count: byteCount))
        return 0
    }
}

private func writeSeeds(_ directory: String) throws {
    for target in FuzzTarget.all {
        let folder = URL(fileURLWithPath: directory).appendingPathComponent(target.name)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for (name, bytes) in target.seeds() { try Data(bytes).write(to: folder.appendingPathComponent(name)) }
    }
}

let arguments = Array(CommandLine.arguments.dropFirst())
if let name = ProcessInfo.processInfo.environment["APUS_FUZZ_TARGET"], let target = FuzzTarget.named(name) {
    exit(fuzz(target, arguments))
}
switch (arguments.first, arguments.count) {
case ("list", 1):
    for target in FuzzTarget.all { print("\(target.name)\t\(target.summary)") }
case ("seeds", 2): try writeSeeds(arguments[1])
case (let name?, _):
    guard let target = FuzzTarget.named(name) else { violated("there is a fuzzer called \(name); see apus-fuzz list") }
    exit(fuzz(target, Array(arguments.dropFirst())))
default: print("usage: apus-fuzz list | seeds <directory> | <fuzzer> [arguments of libFuzzer]")
}
