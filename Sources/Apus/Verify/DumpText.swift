// How values from files are shown to people.

/// Where a dump goes, line by line.
typealias DumpOutput = (String) -> Void

enum DumpText {
    private static let shownByteCount = 96

    /// Bytes as a quoted string: what is printable ASCII as it is, the rest as `\xNN`, long ones cut.
    static func quoted(_ bytes: UnsafeRawBufferPointer) -> String {
        var text = "\""
        for byte in bytes.prefix(shownByteCount) {
            switch byte {
            case 0x22, 0x5C: text += "\\" + String(UnicodeScalar(byte))
            case 0x20...0x7E: text += String(UnicodeScalar(byte))
            default: text += "\\x" + hexadecimal(byte)
            }
        }
        text += "\""
        return bytes.count > shownByteCount ? text + "… (\(bytes.count) bytes)" : text
    }

    static func quoted(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { quoted($0) } }

    static func hexadecimal(_ value: some FixedWidthInteger & UnsignedInteger) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, type(of: value).bitWidth / 4 - text.utf8.count)) + text
    }

    /// Flattens the payload of an entry into words.
    static func payload(_ kind: EntryKind, _ payload: UnsafeRawBufferPointer) -> String {
        guard let decoded = EntryPayload(Trailer(.zero, kind), payload) else {
            return "a payload too short for its kind: \(quoted(payload))"
        }
        switch decoded {
        case .value(let bytes, let expiresAt): return quoted(bytes) + expiry(expiresAt)
        case .deletion: return ""
        case .rangeDeletion(let end): return "up to \(quoted(end))"
        case .merge(let operand, let writtenAt, let expiresAt):
            return "\(quoted(operand)) written at \(writtenAt)" + expiry(expiresAt)
        case .separated(let reference, let expiresAt):
            return "blob file \(reference.file), offset \(reference.offset), \(reference.storedByteCount) bytes stored,"
                + " \(reference.valueByteCount) bytes long" + expiry(expiresAt)
        }
    }

    private static func expiry(_ time: UInt64) -> String { time == 0 ? "" : ", expires at \(time)" }
}
