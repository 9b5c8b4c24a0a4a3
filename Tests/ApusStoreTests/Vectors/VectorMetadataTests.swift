// Metadata: its encoding, damaged bytes, and what filters make of it.

import Testing

@testable import ApusStore

@Suite struct VectorMetadataTests {
    static let sample: VectorMetadata = [
        "null": nil, "yes": true, "no": false, "integer": -5, "double": 2.5, "text": "grün",
        "labels": ["a", "b", ""], "": "empty name",
    ]

    @Test func encodingComesBack() {
        for metadata in [Self.sample, [:], ["x": .strings([])]] {
            #expect(metadata.encoded.withUnsafeBytes { VectorMetadata($0) } == metadata)
        }
    }

    @Test func damagedBytesAreNoMetadata() {
        let bytes = Self.sample.encoded
        for count in 1..<bytes.count {
            #expect(bytes[..<count].withUnsafeBytes { VectorMetadata($0) } == nil, "cut to \(count)")
        }
        #expect((bytes + [0]).withUnsafeBytes { VectorMetadata($0) } == nil)
        // Whatever the bytes, reading them ends.
        var random = VectorRandom(seed: 3)
        for _ in 0..<2000 {
            var changed = bytes
            for _ in 0...random.below(4) { changed[random.below(changed.count)] = UInt8(random.below(256)) }
            changed.withUnsafeBytes { changed in
                _ = VectorMetadata(changed)
                _ = VectorFilter.equal("text", "x").matches(changed)
                _ = VectorFilter.contains("labels", "b").matches(changed)
            }
        }
    }

    @Test func filtersCompare() {
        let metadata = Self.sample
        let fulfilled: [VectorFilter] = [
            .equal("integer", -5), .equal("integer", -5.0), .less("integer", 0), .lessOrEqual("integer", -5),
            .greater("double", 2), .greaterOrEqual("double", 2.5), .equal("text", "grün"), .less("text", "h"),
            .oneOf("text", ["rot", "grün"]), .contains("labels", "b"), .exists("null"), .equal("null", nil),
            .equal("yes", true), .less("no", true), !.exists("other"), .equal("", "empty name"),
            .equal("labels", ["a", "b", ""]), .all([]), !.any([]),
            .exists("text") && .exists("labels"), .exists("other") || .exists("text"),
            .matching { $0["double"] == 2.5 },
        ]
        for filter in fulfilled {
            #expect(filter.matches(metadata), "\(filter)")
            #expect(!(!filter).matches(metadata), "\(filter)")
        }
        let failed: [VectorFilter] = [
            .equal("integer", "-5"), .less("other", 1), .greater("other", 1), .equal("double", .double(.nan)),
            .contains("text", "grün"), .contains("labels", "c"), .oneOf("text", []), .equal("yes", 1),
            .exists("other") && .exists("text"), .less("labels", ["b"]),
        ]
        for filter in failed { #expect(!filter.matches(metadata), "\(filter)") }
    }

    @Test func recordsComeBack() {
        let record = VectorRecord(
            key: [1, 2, 3], metadata: Self.sample.encoded, scale: 0.5, norm: 2, error: 0.25, links: [0, 3, 9, 1 << 40],
            codes: [-127, 0, 127])
        let bytes = record.encoded
        let decoded = bytes.withUnsafeBytes { VectorRecord($0, dimension: 3) }
        #expect(decoded?.encoded == bytes && decoded?.links == record.links && decoded?.codes == record.codes)
        for count in 0..<bytes.count {
            #expect(bytes[..<count].withUnsafeBytes { VectorRecord($0, dimension: 3) } == nil)
        }
        #expect(bytes.withUnsafeBytes { VectorRecord($0, dimension: 2) } == nil)
        #expect(bytes.withUnsafeBytes { VectorRecord($0, dimension: 4) } == nil)
    }

    @Test func slotTablesAreDictionaries() throws {
        let memory = try #require(NodeMemory(dimension: 4, linkCapacity: 2))
        var table = SlotTable()
        var model: [UInt64: UInt32] = [:]
        var random = VectorRandom(seed: 4)
        for slot in 0..<500 { #expect(memory.reserve(slot: slot)) }
        var free = Array(UInt32(0)..<500)
        for _ in 0..<20_000 {
            let node = random.next() % 700
            #expect(table.slot(of: node, in: memory) == model[node])
            if model.removeValue(forKey: node) != nil {
                free.append(try #require(table.slot(of: node, in: memory)))
                table.remove(node, in: memory)
            } else if let slot = free.popLast() {
                memory.describe(slot, scale: 0, bias: 0, error: 0, node: node)
                table.insert(slot, in: memory)
                model[node] = slot
            }
            #expect(table.count == model.count)
        }
    }

    @Test func integersAndDoublesCompareByValue() {
        let large: Int64 = 1 << 53
        let metadata: VectorMetadata = ["n": .integer(large + 1), "most": .integer(.max), "half": .double(0.5)]
        #expect(VectorFilter.greater("n", .double(Double(large))).matches(metadata))
        #expect(!VectorFilter.equal("n", .double(Double(large))).matches(metadata))
        #expect(VectorFilter.less("most", .double(0x1p63)).matches(metadata))
        #expect(VectorFilter.greater("half", .integer(0)).matches(metadata))
        #expect(VectorFilter.less("half", .integer(1)).matches(metadata))
        #expect(VectorFilter.greater("n", .double(-.infinity)).matches(metadata))
        #expect(!VectorFilter.less("n", .double(.nan)).matches(metadata))
    }
}
