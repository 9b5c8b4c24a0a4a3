// Which entries lie in which bytes of the sample, so that a salvage can be held to it: what was not hit comes back, what
// was hit is in the report.

import ApusIO
import ApusSimulation
import Testing

@testable import Apus

extension CorruptionSample {
    /// Bytes of a file, and the entries that are lost with them.
    struct Region {
        var file: String
        var range: Range<Int>
        var keyspace: String
        /// nil: any entry may look different.
        var keys: Set<[UInt8]>?
    }

    /// Where everything is, found in the undamaged files.
    func regions() throws -> [Region] {
        var regions: [Region] = []
        for name in files.keys.sorted() {
            guard let file = FileName(name) else { continue }
            switch file {
            case .table(let number): regions += try tableRegions(name, number)
            case .blob(let number): regions += try blobRegions(name, number)
            default: continue
            }
        }
        var number = 0
        for name in logs {
            for frame in Self.frames(files[name]!) {
                for (keyspace, keys) in commits[number].keys {
                    regions.append(Region(file: name, range: frame.range, keyspace: keyspace, keys: keys))
                }
                number += 1
            }
        }
        return regions
    }

    private func tableRegions(_ name: String, _ number: FileNumber) throws -> [Region] {
        let table = try SalvageTable.read(number, in: Self.directory, on: machine.disk)
        let keyspace = table.keyspace == 1 ? "plain" : "large"
        let walk = try TableWalk(number, in: Self.directory, on: machine.disk)
        var regions: [Region] = []
        while let finding = try walk.next() {
            guard case .block(let part) = finding, [.data, .rangeDeletions].contains(part.kind) else { continue }
            let start = Int(part.handle.offset) - 4
            regions.append(
                Region(
                    file: name, range: start..<start + Int(part.handle.byteCount) + 9, keyspace: keyspace,
                    keys: part.kind == .data ? Set(part.keys) : nil))
        }
        return regions
    }

    private func blobRegions(_ name: String, _ number: FileNumber) throws -> [Region] {
        let file = try machine.disk.open(path(name), .read)
        defer { try? file.close() }
        var walk = try BlobWalk(file: file, path: path(name), number: number)
        var regions: [Region] = []
        try walk.run { (finding) throws(ApusError) in
            guard case .record(let record, let offset) = finding else { return }
            let range = Int(offset)..<Int(offset) + Int(record.header.recordByteCount)
            regions.append(Region(file: name, range: range, keyspace: "large", keys: [[UInt8](record.key)]))
        }
        return regions
    }

    /// Salvages after `mutation` and compares with what had to be there. Returns whether the report is complete.
    func checkSalvage(_ mutation: CorruptionMutation, _ regions: [Region], target: String) throws -> Bool {
        try with(mutation.change) {
            var environment = machine.environment
            environment.random = SeededRandom(seed: 36)
            let report = try Database.salvage(
                from: Self.directory, to: target, options: options, environment: environment)
            defer {
                for path in machine.disk.filePaths where path.hasPrefix(target + "/") { machine.disk.delete(path) }
            }
            let found = try salvaged(target)
            try judge(found, report, mutation, regions)
            return report.isComplete
        }
    }

    /// What the new database holds, which has to be sound.
    private func salvaged(_ target: String) throws -> Contents {
        var options = options
        options.isReadOnly = true
        let database = try Database.open(at: target, options: options, environment: machine.environment)
        defer { try? database.close() }
        let verification = try database.verify()
        guard verification.isSound else { throw CorruptionFailure("the result: \(verification.problems)") }
        var contents: Contents = [:]
        for name in database.keyspaceNames {
            contents[name] = try database.existingKeyspace(name).entries()
        }
        return contents
    }

    private func judge(
        _ found: Contents, _ report: SalvageReport, _ mutation: CorruptionMutation, _ regions: [Region]
    ) throws {
        if legalStates(mutation.change).contains(found) { return }
        guard !report.isComplete else {
            throw CorruptionFailure("the result is not what was there, and no loss is told")
        }
        let isNaming = mutation.change.keys.contains { $0 == "CURRENT" || $0.hasSuffix(".manifest") }
        for (number, name) in ["plain", "large"].enumerated() {
            // Who does not know a keyspace's name calls it by its number.
            let substitute = isNaming ? found["keyspace-\(number + 1)"] : nil
            guard let entries = found[name] ?? substitute else {
                if isNaming { continue }
                throw CorruptionFailure("keyspace \(name) is missing")
            }
            try judge(entries, name, report, mutation, regions, isNaming: isNaming)
        }
    }

    private func judge(
        _ entries: [Entry], _ name: String, _ report: SalvageReport, _ mutation: CorruptionMutation,
        _ regions: [Region], isNaming: Bool
    ) throws {
        let expected = Dictionary(uniqueKeysWithValues: contents[name]!.map { ($0.key, $0.value) })
        let found = Dictionary(uniqueKeysWithValues: entries.map { ($0.key, $0.value) })
        let hit = regions.filter { $0.keyspace == name && isHit($0, by: mutation.change) }
        for key in Set(expected.keys).union(found.keys) where expected[key] != found[key] {
            let shown = String(decoding: key, as: UTF8.self)
            if let value = found[key], history[name]?[key]?.contains(value) != true {
                throw CorruptionFailure("\(name) \(shown): a value that was never written")
            }
            guard isNaming || hit.contains(where: { $0.keys?.contains(key) ?? true }) else {
                throw CorruptionFailure("\(name) \(shown): was not hit, and is not what it was: \(report.losses)")
            }
            guard report.losses.contains(where: { $0.explains(key, of: name) }) else {
                throw CorruptionFailure("\(name) \(shown): lost without a word: \(report.losses)")
            }
        }
    }

    private func isHit(_ region: Region, by change: CorruptionMutation.Change) -> Bool {
        guard let changed = change[region.file] else { return false }
        guard let bytes = changed, bytes.count >= region.range.upperBound else { return true }
        return bytes[region.range] != files[region.file]![region.range]
    }
}
