// Table files made valid again after mutations, and what the manifest would say of them.

@testable import Apus

enum StoredBlocks {
    /// Puts right checksums over the blocks, as far as their lengths lead from one to the next, and over the footer.
    ///
    /// - Parameter isOurs: also puts right what says which file this is.
    static func repair(_ bytes: inout [UInt8], number: FileNumber, isOurs: Bool) {
        guard bytes.count >= TableFormat.footerByteCount else { return }
        let end = bytes.count - TableFormat.footerByteCount
        var position = 0
        while position + 9 < end {
            let count = Int(bytes.integer(at: position, UInt32.self))
            guard count > 0, count <= end - position - 9 else { break }
            let start = position + TableFormat.blockLengthByteCount
            let checksum = bytes[start...(start + count)].withUnsafeBytes {
                TableFormat.checksum($0, number: number, offset: UInt64(start))
            }
            bytes.setInteger(checksum, at: start + count + 1)
            position += count + 9
        }
        func handle(_ offset: Int) -> BlockHandle {
            BlockHandle(offset: bytes.integer(at: end + offset), byteCount: bytes.integer(at: end + offset + 8))
        }
        let footer = TableFooter(
            properties: handle(0),
            root: handle(12),
            rangeDeletions: handle(24),
            dictionary: handle(36),
            number: isOurs ? number : bytes.integer(at: end + 48)
        )
        bytes.replaceSubrange(end..., with: footer.encode(at: UInt64(end)))
    }

    /// By the table's own properties, as far as they can be read.
    static func metadata(_ bytes: [UInt8], number: FileNumber) -> TableMetadata {
        var metadata = properties(bytes, number: number) ?? TableSummary(number: number, createdAt: 0).metadata
        metadata.byteCount = UInt64(bytes.count)
        metadata.checksum = Frames.checksum(bytes[...], seed: 0)
        return metadata
    }

    private static func properties(_ bytes: [UInt8], number: FileNumber) -> TableMetadata? {
        guard bytes.count >= TableFormat.footerByteCount else { return nil }
        let end = bytes.count - TableFormat.footerByteCount
        let offset = bytes.integer(at: end, UInt64.self)
        let count = bytes.integer(at: end + 8, UInt32.self)
        guard offset < UInt64(end), UInt64(count) <= UInt64(end) - offset else { return nil }
        return bytes.withUnsafeBytes { bytes in
            let block = UnsafeRawBufferPointer(rebasing: bytes[Int(offset)..<(Int(offset) + Int(count))])
            return try? TableProperties.decode(block, number: number).metadata
        }
    }
}
