// The text files below a folder.

import ApusStore
import Foundation

/// A file as the file system describes it, without its content.
struct FoundFile {
    /// Relative to the root of the tree.
    var path: String
    var language: String
    var url: URL
    var byteCount: Int
    var modified: Timestamp
}

struct SourceTree {
    var root: URL
    /// Larger files are no source.
    var largestFile = 1 << 20

    /// Calls `body` with each file whose name says that it is source. Hidden folders are not entered.
    ///
    /// - Throws: `CocoaError` if there is no such folder: a tree that is not there is not one without files.
    func forEachFile(_ body: (FoundFile) throws -> Void) throws {
        _ = try FileManager.default.contentsOfDirectory(atPath: root.path)
        let keys: [URLResourceKey] = [.isRegularFileKey, .fileSizeKey, .contentModificationDateKey]
        let walk = FileManager.default.enumerator(
            at: root, includingPropertiesForKeys: keys, options: [.skipsHiddenFiles])
        guard let walk else { throw CocoaError(.fileReadNoSuchFile) }
        let prefix = root.standardizedFileURL.path.count + 1
        for case let url as URL in walk {
            guard let language = Self.languages[url.pathExtension.lowercased()],
                let values = try? url.resourceValues(forKeys: Set(keys)), values.isRegularFile == true,
                let size = values.fileSize, size > 0, size <= largestFile
            else { continue }
            let seconds = values.contentModificationDate?.timeIntervalSince1970 ?? 0
            try body(
                FoundFile(
                    path: String(url.standardizedFileURL.path.dropFirst(prefix)), language: language, url: url,
                    byteCount: size, modified: Timestamp(milliseconds: Int64(seconds * 1000))))
        }
    }

    /// The bytes of a file; nil if they are no text.
    static func text(_ file: FoundFile) throws -> String? {
        let bytes = try Data(contentsOf: file.url)
        return bytes.prefix(8192).contains(0) ? nil : String(decoding: bytes, as: UTF8.self)
    }

    /// By the ends of names.
    private static let languages = [
        "swift": "swift", "c": "c", "h": "c", "hpp": "c++", "hh": "c++", "cc": "c++", "cpp": "c++", "tcc": "c++",
        "py": "python", "rs": "rust", "go": "go", "js": "javascript", "ts": "typescript", "java": "java", "sh": "shell",
        "pl": "perl", "rb": "ruby", "md": "markdown", "txt": "text", "json": "json", "yml": "yaml", "yaml": "yaml",
    ]
}
