// The names of the files in a database directory.  FORMAT.md §1
//
// The only place that formats or parses a name, so that no two parts of the engine can disagree about one.

/// A file of a database, by the name it has in the directory.
enum FileName: Hashable, Sendable {
    case current
    case lock
    case manifest(FileNumber)
    case log(FileNumber)
    case table(FileNumber)
    case blob(FileNumber)
    /// CURRENT while it is being written; nothing else has a name for the time being.
    case temporaryCurrent

    private static let digitCount = 12

    /// nil if the name is none of ours.
    init?(_ name: String) {
        if name == "CURRENT" {
            self = .current
            return
        }
        if name == "LOCK" {
            self = .lock
            return
        }
        if name == "CURRENT.tmp" {
            self = .temporaryCurrent
            return
        }
        let text = name.utf8
        guard let dot = text.firstIndex(of: UInt8(ascii: ".")), let number = Self.number(text[..<dot]) else {
            return nil
        }
        switch name[text.index(after: dot)...] {
        case "manifest": self = .manifest(number)
        case "log": self = .log(number)
        case "table": self = .table(number)
        case "blob": self = .blob(number)
        default: return nil
        }
    }

    /// The name in the directory.
    var string: String {
        switch self {
        case .current: "CURRENT"
        case .lock: "LOCK"
        case .manifest(let number): Self.digits(number) + ".manifest"
        case .log(let number): Self.digits(number) + ".log"
        case .table(let number): Self.digits(number) + ".table"
        case .blob(let number): Self.digits(number) + ".blob"
        case .temporaryCurrent: "CURRENT.tmp"
        }
    }

    /// The number that the shared counter gave this file, nil for files without one.
    var number: FileNumber? {
        switch self {
        case .manifest(let number), .log(let number), .table(let number), .blob(let number): number
        case .current, .lock, .temporaryCurrent: nil
        }
    }

    func path(in directory: String) -> String { directory + "/" + string }

    private static func digits(_ number: FileNumber) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digitCount - text.utf8.count)) + text
    }

    /// Numbers below this leave room for the next one; a counter never gets here.
    static let numberLimit = FileNumber.max >> 1

    /// Exactly what `digits` writes, nothing else: no sign, no other padding, not zero.
    private static func number(_ text: Substring.UTF8View) -> FileNumber? {
        var number: FileNumber = 0
        var count = 0
        for byte in text {
            guard byte >= 0x30 && byte <= 0x39, number <= numberLimit / 10 else { return nil }
            // Longer numbers are not padded.
            if count == digitCount && text.first == 0x30 { return nil }
            number = number * 10 + FileNumber(byte - 0x30)
            count += 1
        }
        return count >= digitCount && number > 0 && number < numberLimit ? number : nil
    }
}
