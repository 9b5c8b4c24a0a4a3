// What a keyspace was created or changed to be; it travels in the manifest.  FORMAT.md §6.4
//
// Each field is: tag u8 │ length varint │ value. All fields are always written, ascending by tag. A missing, repeated
// or unknown tag is an error: settings decide how data is read.

import ApusIO

/// Persistent settings of one keyspace.
struct KeyspaceSettings: Sendable, Hashable {
    enum Style: Sendable, Hashable {
        case leveled
        /// Oldest tables go when the keyspace is larger than `maximumByteCount` (0: any size) or they are older than
        /// `maximumAge` ms (0: any age).
        case fifo(maximumByteCount: UInt64, maximumAge: UInt64)
    }

    var codec: Codec = .lz4
    /// Of tables at the bottommost level.
    var bottomCodec: Codec = .lz4
    /// Milliseconds after which an entry expires, 0 = never.
    var timeToLive: UInt64 = 0
    /// Empty = none.
    var mergeOperatorName: String = ""
    var style: Style = .leveled
    /// Filter bits per key, 0 = no filters.
    var filterBitsPerKey: UInt8 = 10
    /// Values of at least this many bytes go to blob files, 0 = none do.
    var separationThreshold: UInt32 = 0
    /// Never logged: its contents do not survive a crash.
    var isEphemeral = false

    /// Values of at least so many bytes may go to a blob file when they are committed; 0: none do. Who commits should not
    /// wait for a slow codec: a flush takes care of that, in the background.
    var committedValueThreshold: Int { codec == .zstd ? 0 : Int(separationThreshold) }
}

extension KeyspaceSettings {
    private enum Tag: UInt8, CaseIterable {
        case codec = 1
        case bottomCodec = 2
        case timeToLive = 3
        case mergeOperatorName = 4
        case style = 5
        case filterBitsPerKey = 6
        case separationThreshold = 7
        case isEphemeral = 8
    }

    func encode(into output: inout [UInt8]) {
        for tag in Tag.allCases {
            output.append(tag.rawValue)
            let value = encoded(tag)
            value.withUnsafeBytes { output.appendLengthPrefixed($0) }
        }
    }

    private func encoded(_ tag: Tag) -> [UInt8] {
        var value: [UInt8] = []
        switch tag {
        case .codec: value.append(codec.rawValue)
        case .bottomCodec: value.append(bottomCodec.rawValue)
        case .timeToLive: value.appendVarint(timeToLive)
        case .mergeOperatorName: value.append(contentsOf: mergeOperatorName.utf8)
        case .style:
            switch style {
            case .leveled: value.append(0)
            case .fifo(let maximumByteCount, let maximumAge):
                value.append(1)
                value.appendVarint(maximumByteCount)
                value.appendVarint(maximumAge)
            }
        case .filterBitsPerKey: value.append(filterBitsPerKey)
        case .separationThreshold: value.appendVarint(UInt64(separationThreshold))
        case .isEphemeral: value.append(isEphemeral ? 1 : 0)
        }
        return value
    }

    /// Decodes exactly `bytes`.
    init(decoding bytes: UnsafeRawBufferPointer) throws(DecodingFailure) {
        self.init()
        var reader = ByteReader(bytes)
        for tag in Tag.allCases {
            let number = try reader.integer(UInt8.self, "settings tag")
            guard number == tag.rawValue else {
                throw DecodingFailure(what: "settings tag \(number) stands where \(tag.rawValue) belongs")
            }
            var value = ByteReader(try reader.lengthPrefixed("settings field"))
            try decode(tag, &value)
            guard value.isAtEnd else { throw DecodingFailure(what: "settings field \(number) is too long") }
        }
        guard reader.isAtEnd else { throw DecodingFailure(what: "unknown settings follow the known ones") }
    }

    private mutating func decode(_ tag: Tag, _ value: inout ByteReader) throws(DecodingFailure) {
        switch tag {
        case .codec: codec = try Self.codec(&value)
        case .bottomCodec: bottomCodec = try Self.codec(&value)
        case .timeToLive: timeToLive = try value.varint("time to live")
        case .mergeOperatorName:
            mergeOperatorName = try value.text(UInt64(value.remaining), "merge operator name")
        case .style:
            switch try value.integer(UInt8.self, "style") {
            case 0: style = .leveled
            case 1:
                style = .fifo(
                    maximumByteCount: try value.varint("maximum size"),
                    maximumAge: try value.varint("maximum age")
                )
            case let number: throw DecodingFailure(what: "unknown compaction style \(number)")
            }
        case .filterBitsPerKey: filterBitsPerKey = try value.integer(UInt8.self, "filter bits")
        case .separationThreshold: separationThreshold = try value.narrow("separation threshold")
        case .isEphemeral: isEphemeral = try value.flag("ephemeral flag")
        }
    }

    private static func codec(_ value: inout ByteReader) throws(DecodingFailure) -> Codec {
        let number = try value.integer(UInt8.self, "codec")
        guard let codec = Codec(rawValue: number) else { throw DecodingFailure(what: "unknown codec \(number)") }
        return codec
    }
}

extension ByteReader {
    /// A byte that is 0 or 1.
    mutating func flag(_ what: StaticString) throws(DecodingFailure) -> Bool {
        switch try integer(UInt8.self, what) {
        case 0: return false
        case 1: return true
        case let number: throw DecodingFailure(what: "\(what) is \(number), neither 0 nor 1")
        }
    }

    /// A varint that fits 32 bits.
    mutating func narrow(_ what: StaticString) throws(DecodingFailure) -> UInt32 {
        let value = try varint(what)
        guard let narrow = UInt32(exactly: value) else {
            throw DecodingFailure(what: "\(what) is \(value), more than 32 bits")
        }
        return narrow
    }

    /// `count` bytes of valid UTF-8.
    mutating func text(_ count: UInt64, _ what: StaticString) throws(DecodingFailure) -> String {
        let bytes = try take(count, what)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw DecodingFailure(what: "\(what) is not valid UTF-8")
        }
        return text
    }

    /// A varint length and that many bytes, copied.
    mutating func byteString(_ what: StaticString) throws(DecodingFailure) -> [UInt8] {
        Array(try lengthPrefixed(what))
    }

    /// A varint that is a sequence number.
    mutating func sequence(_ what: StaticString) throws(DecodingFailure) -> SequenceNumber {
        let value = try varint(what)
        guard value <= SequenceNumber.max.rawValue else {
            throw DecodingFailure(what: "\(what) is \(value), more than 56 bits")
        }
        return SequenceNumber(value)
    }
}
