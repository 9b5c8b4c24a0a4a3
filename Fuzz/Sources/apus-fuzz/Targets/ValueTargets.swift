// Encodings of single values: compressed bytes, and keys that are tuples.

@testable import Apus

extension FuzzTarget {
    static let compression = FuzzTarget(
        name: "compression",
        summary: "compressed bytes: false lengths, bombs; what is compressed comes back",
        run: { runCompression($0) },
        seeds: {
            let text = Array(repeatElement(Array("all work and no play ".utf8), count: 20).joined())
            func compressed(_ codec: Codec, _ text: [UInt8]) -> [UInt8] {
                var output = [UInt8](repeating: 0, count: text.count + 64)
                let count = output.withUnsafeMutableBytes { output in
                    text.withUnsafeBytes { codec.compress($0, into: output) }
                }
                return Array(output.prefix(count ?? 0))
            }
            let length: [UInt8] = [2, UInt8(truncatingIfNeeded: text.count), UInt8(text.count >> 8)]
            let zeros = [UInt8](repeating: 0, count: 1 << 20)
            return [
                "lz4": [1] + length + compressed(.lz4, text), "zstd": [2] + length + compressed(.zstd, text),
                "none": [0] + length + text, "bomb": [2, 3, 0, 0, 16] + compressed(.zstd, zeros),
            ]
        }
    )

    static let tuple = FuzzTarget(
        name: "tuple",
        summary: "tuple keys: one encoding each, in the order of the tuples",
        maximumByteCount: 512,
        run: { runTuple($0) },
        seeds: {
            [
                "all": [0]
                    + KeyCoder.encode(
                        nil, true, -5, 300, .unsigned(.max), 1.5, .date(milliseconds: -1), .uuid(1 << 100),
                        .bytes([0, 0xFF]), "a\0b", [1, ["x"]], .descending("z"), .descending([.descending(2)])
                    ),
                "integers": [0] + KeyCoder.encode(.integer(.min), .integer(.max), 0, -1, 255, -256),
                "described": [1, 3, 2, 1, 7, 8, 2, 0x61, 0, 9, 2, 3, 1, 1, 3, 2, 1, 8, 8, 2, 0x61, 0, 10, 0, 1, 2],
            ]
        }
    )
}

/// codec: u8 │ length that is claimed: number │ bytes
private func runCompression(_ bytes: UnsafeRawBufferPointer) {
    var source = ByteSource(bytes)
    let codec = Codec.allCases[source.below(Codec.allCases.count)]
    let claimed = Int(clamping: source.number())
    let input = source.rest()
    let canExpand = codec.canExpand(input.count, to: claimed)
    // Memory is given on the word of `canExpand` alone; past this a fuzzer would only measure the allocator.
    if claimed <= 8 << 20 {
        var output = [UInt8](repeating: 0, count: max(claimed, 1))
        let isWhole = output.withUnsafeMutableBytes { output in
            let target = UnsafeMutableRawBufferPointer(rebasing: output[..<claimed])
            return input.withUnsafeBytes { codec.decompress($0, into: target) }
        }
        expect(!isWhole || canExpand, "\(input.count) bytes of \(codec) that stand for \(claimed) may do so")
    } else if canExpand {
        expect(claimed >> 15 <= input.count, "no bytes stand for more than 32,768 times as many")
    }
    expectComesBack(input, codec)
}

private func expectComesBack(_ input: [UInt8], _ codec: Codec) {
    var compressed = [UInt8](repeating: 0, count: input.count + 128)
    let count = compressed.withUnsafeMutableBytes { output in
        input.withUnsafeBytes { codec.compress($0, into: output) }
    }
    guard let count else { return expect(codec == .none || input.isEmpty, "there is room for what is compressed") }
    expect(codec.canExpand(count, to: input.count), "what was compressed may stand for as much as it was")
    var output = [UInt8](repeating: 0, count: input.count)
    let isWhole = output.withUnsafeMutableBytes { output in
        compressed.withUnsafeBytes { codec.decompress(UnsafeRawBufferPointer(rebasing: $0[..<count]), into: output) }
    }
    expect(isWhole && output == input, "what was compressed comes back")
}

/// mode: u8 (even: the rest is a key; odd: it describes two tuples)
private func runTuple(_ bytes: UnsafeRawBufferPointer) {
    var source = ByteSource(bytes)
    guard source.byte() & 1 != 0 else {
        let key = source.rest()
        do throws(KeyDecodingError) {
            let tuple = try KeyCoder.decode(key)
            expect(KeyCoder.encode(tuple) == key, "a key that decodes is the only encoding of its tuple")
            _ = "\(tuple)"
        } catch {
            _ = error.description
        }
        return
    }
    let (a, b) = (tuple(&source, depth: 0), tuple(&source, depth: 0))
    let (x, y) = (KeyCoder.encode(a), KeyCoder.encode(b))
    expect(compareBytes(x, y).signum() == KeyElement.order(a, b).signum(), "keys sort as \(a) and \(b) do")
    for (tuple, key) in [(a, x), (b, y)] {
        do throws(KeyDecodingError) {
            let again = try KeyCoder.decode(key)
            expect(KeyElement.order(again, tuple) == 0, "\(tuple) is decoded as it was encoded")
        } catch {
            violated("\(tuple) decodes: \(error)")
        }
    }
}

private func tuple(_ source: inout ByteSource, depth: Int) -> [KeyElement] {
    (0..<source.below(4)).map { _ in element(&source, depth: depth) }
}

private func element(_ source: inout ByteSource, depth: Int) -> KeyElement {
    switch source.below(depth < 4 ? 11 : 9) {
    case 0: .null
    case 1: .bool(source.flag())
    case 2: .integer(Int64(bitPattern: source.number()))
    case 3: .unsigned(source.number())
    case 4: .double(Double(bitPattern: source.number()))
    case 5: .date(milliseconds: Int64(bitPattern: source.number()))
    case 6: .uuid(UInt128(source.number()) << 64 | UInt128(source.number()))
    case 7: .bytes(source.bytes(upTo: 8))
    case 8: .string(String(decoding: source.bytes(upTo: 8), as: UTF8.self))
    case 9: .tuple(tuple(&source, depth: depth + 1))
    default: .descending(element(&source, depth: depth + 1))
    }
}
