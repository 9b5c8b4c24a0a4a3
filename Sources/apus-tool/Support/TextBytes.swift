// Bytes for people and for programs: text with visible escapes, hexadecimal, Base64, JSON strings.

import Foundation

/// Bytes on a terminal, one line: text as it is, everything that is not printable text as an escape.
func displayed(_ bytes: some Collection<UInt8>) -> String {
    var text = ""
    var rest = Array(bytes)[...]
    while !rest.isEmpty {
        // The longest run of valid text, then one byte that is none.
        let valid = validPrefix(of: rest)
        for scalar in String(decoding: rest.prefix(valid), as: UTF8.self).unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\t": text += "\\t"
            case "\r": text += "\\r"
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
                text += "\\x" + hexadecimal(Array(String(scalar).utf8))
            default: text.unicodeScalars.append(scalar)
            }
        }
        rest = rest.dropFirst(valid)
        if let byte = rest.popFirst() { text += "\\x" + hexadecimal([byte]) }
    }
    return text
}

/// How many of the first bytes are valid UTF-8.
private func validPrefix(of bytes: ArraySlice<UInt8>) -> Int {
    if String(validating: bytes, as: UTF8.self) != nil { return bytes.count }
    var count = 0
    while count < bytes.count {
        let first = bytes[bytes.startIndex + count]
        let length = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
        let character = bytes.dropFirst(count).prefix(length)
        if String(validating: character, as: UTF8.self) == nil { break }
        count += character.count
    }
    return count
}

func isText(_ bytes: some Collection<UInt8>) -> Bool {
    String(validating: bytes, as: UTF8.self) != nil
}

func hexadecimal(_ bytes: some Collection<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(2 * bytes.count)
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}

/// The bytes of hexadecimal digits; nil if they are not pairs of digits.
func bytes(hexadecimal text: some StringProtocol) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
        guard let high = nibble(digits[index]), let low = nibble(digits[index + 1]) else { return nil }
        bytes.append(high << 4 | low)
    }
    return bytes
}

private func nibble(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
}

/// Appends text that is valid UTF-8 as a JSON string with its quotes.
func appendJSONString(_ text: some Collection<UInt8>, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "\""))
    for byte in text {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): output += [UInt8(ascii: "\\"), byte]
        case 0x0A: output += Array("\\n".utf8)
        case 0x0D: output += Array("\\r".utf8)
        case 0x09: output += Array("\\t".utf8)
        case 0..<0x20, 0x7F: output += Array("\\u00".utf8) + Array(hexadecimal([byte]).utf8)
        default: output.append(byte)
        }
    }
    output.append(UInt8(ascii: "\""))
}

/// Appends `"name":"…"`, or `"nameBase64":"…"` where the bytes are not text, or `"nameHex":"…"` where that is wanted.
func appendJSONField(_ name: String, _ bytes: [UInt8], hex: Bool, to output: inout [UInt8]) {
    if hex {
        output += Array("\"\(name)Hex\":\"\(hexadecimal(bytes))\"".utf8)
    } else if isText(bytes) {
        output += Array("\"\(name)\":".utf8)
        appendJSONString(bytes, to: &output)
    } else {
        output += Array("\"\(name)Base64\":\"\(Data(bytes).base64EncodedString())\"".utf8)
    }
}

/// Text for a message: the beginning of what is too long for one.
func shortened(_ text: String) -> String {
    text.count > 200 ? text.prefix(200) + "…" : text
}

/// "1,234,567"
func grouped(_ number: some BinaryInteger) -> String {
    var digits = Array(String(number))
    var index = digits.count - 3
    while index > (number < 0 ? 1 : 0) {
        digits.insert(",", at: index)
        index -= 3
    }
    return String(digits)
}

/// "1 file", "1,234 files"
func counted(_ number: some BinaryInteger, _ noun: String) -> String {
    "\(grouped(number)) \(noun)" + (number == 1 ? "" : "s")
}

/// "1.4 MiB"
func byteSize(_ count: some BinaryInteger) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"]
    guard count >= 1024 else { return "\(count) B" }
    var value = Double(count) / 1024
    var unit = 0
    while value >= 1000, unit < units.count - 1 {
        value /= 1024
        unit += 1
    }
    return String(format: value < 10 ? "%.1f " : "%.0f ", value) + units[unit]
}

extension Duration {
    var seconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) / 1e18
    }

    /// "850 µs", "12.3 ms", "4.1 s"
    var readable: String {
        switch seconds {
        case 0: "0"
        case ..<0.001: String(format: "%.0f µs", seconds * 1e6)
        case ..<1: String(format: "%.1f ms", seconds * 1e3)
        default: String(format: "%.1f s", seconds)
        }
    }
}
