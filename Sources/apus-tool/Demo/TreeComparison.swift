// Compares an exported tree with the files that it came from, byte for byte, in memory that does not grow with them.

import Foundation

struct TreeComparison {
    private(set) var files = 0
    private(set) var bytes: UInt64 = 0
    /// Files that somebody changed while the demo ran.
    private(set) var changed = 0

    /// - Parameter stamp: what the file was when it was imported; nil if it was not imported.
    mutating func compare(
        source directory: String,
        with copy: String,
        stamp: ([UInt8]) throws -> FileStamp?
    ) throws {
        var walk = try TreeWalk(directory)
        while let item = walk.next() {
            let path = Array(directory.utf8) + [UInt8(ascii: "/")] + item.path
            // What could not be read could not be imported; the import has reported it.
            guard let input = try? ByteInput(path: path) else { continue }
            let now = try input.stamp()
            guard let imported = try stamp(path), imported == now else {
                let isBinary = try input.peekBytes().contains(0)
                if !isBinary { changed += 1 }
                continue
            }
            let other = try ByteInput(path: Array(copy.utf8) + path)
            guard try isSame(input, other) else {
                throw Failure("\(displayed(path)) differs from its copy near byte \(input.offset)", code: 2)
            }
            files += 1
            bytes += input.offset
        }
    }

    private func isSame(_ a: ByteInput, _ b: ByteInput) throws -> Bool {
        while true {
            let (x, y) = (try a.peekBytes(), try b.peekBytes())
            let count = min(x.count, y.count)
            if count == 0 { return x.isEmpty && y.isEmpty }
            guard x.prefix(count).elementsEqual(y.prefix(count)) else { return false }
            a.consume(count)
            b.consume(count)
        }
    }
}
