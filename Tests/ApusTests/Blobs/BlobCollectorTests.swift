// Which blob files are garbage, from the manifest's figures.

import Testing

@testable import Apus

@Suite struct BlobCollectorTests {
    private func file(_ number: FileNumber, _ byteCount: UInt64) -> BlobFileMetadata {
        BlobFileMetadata(
            number: number,
            byteCount: byteCount + 56,
            checksum: 0,
            valueCount: 1,
            recordByteCount: byteCount
        )
    }

    private func share(_ file: FileNumber, _ byteCount: UInt64) -> BlobFileShare {
        BlobFileShare(file: file, byteCount: byteCount, valueCount: 1)
    }

    @Test func sharesOfAllTablesAddUp() {
        let tree = TreeSummary(
            levels: [
                [.plain(10, blobs: [share(1, 300), share(2, 100)])], [.plain(11, blobs: [share(1, 250)])],
                [.plain(12, blobs: [share(3, 10), share(5, 10)])],
            ],
            blobFiles: [file(1, 1000), file(2, 1000), file(3, 1000), file(4, 1000), file(5, 1000)]
        )
        #expect(BlobCollector.liveByteCounts(tree) == [1: 550, 2: 100, 3: 10, 5: 10])
        #expect(BlobCollector.unreferenced(tree) == [4])
        // The newest file is left alone.
        #expect(BlobCollector.collected(tree) == [2, 3, 4])
    }

    @Test func aTreeWithoutBlobFilesHasNothingToCollect() {
        let tree = TreeSummary(levels: [[.plain(10)]])
        #expect(BlobCollector.collected(tree).isEmpty && BlobCollector.unreferenced(tree).isEmpty)
    }
}
