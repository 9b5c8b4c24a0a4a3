// Turns `Encodable` values into record bytes in one pass: the containers of the standard library write straight into
// one growing buffer, and the byte counts of arrays and objects are filled in when they end. There is no tree in
// between.
//
// What makes it fast is that a type encodes its fields in the same order every time: the encoder remembers the names
// and numbers of the previous document in a row, and looks a name up only where this document differs.

import Apus

/// The state that all containers of one encoding share. Used by one thread at a time, and again for the next document.
final class RecordEncoder {
    /// An array or object that has not ended. The one at depth 0 is the document.
    struct Frame {
        /// Where its tag stands: no two frames of a document start at the same place.
        var start: Int
        var isArray: Bool
        /// Names are written out: the keys are data.
        var isDictionary: Bool
        /// Took its whole content at once.
        var isSealed: Bool
    }

    private let names: FieldNames
    @exclusivity(unchecked) private var table: FieldNameTable

    @exclusivity(unchecked) private var base: UnsafeMutableRawPointer
    @exclusivity(unchecked) private(set) var capacity: Int
    @exclusivity(unchecked) private(set) var count = 0

    private let frames: UnsafeMutablePointer<Frame>
    @exclusivity(unchecked) private(set) var depth = 0
    /// Where a value was promised that may never come (`superEncoder`).
    @exclusivity(unchecked) private var promisedSlot = -1
    /// What a container could not throw.
    @exclusivity(unchecked) private var failure: (any Error)?

    /// The names of the previous document in the order of its fields, and how far this one has got in it.
    @exclusivity(unchecked) private var expected: [(name: String, id: UInt32)] = []
    @exclusivity(unchecked) private var expectedIndex = 0
    private static let longestExpectation = 256

    @exclusivity(unchecked) private var lastKeyType: (type: ObjectIdentifier, isDictionary: Bool)?

    init(names: FieldNames) {
        self.names = names
        table = names.current
        capacity = 1024
        base = .allocate(byteCount: capacity, alignment: 16)
        frames = .allocate(capacity: RecordFormat.nestingLimit + 1)
    }

    deinit {
        base.deallocate()
        frames.deallocate()
    }

    /// The fields of the last document, valid until the next one.
    var fields: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + Self.headerSpace, count: count - Self.headerSpace)
    }

    /// The last document behind a header, valid until the next one.
    func record(_ header: RecordHeader) -> UnsafeRawBufferPointer {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerSpace)
        header.append(to: &bytes)
        let start = base + (Self.headerSpace - bytes.count)
        bytes.withUnsafeBytes { start.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        return UnsafeRawBufferPointer(start: start, count: count - Self.headerSpace + bytes.count)
    }

    /// Puts another identifier in the place of one among the fields.
    func replace(_ value: RawValue, by id: DocumentID) {
        precondition(value.tag == RecordTag.id)
        let offset = value.content.baseAddress! - UnsafeRawPointer(base)
        base.storeBytes(of: UInt64(truncatingIfNeeded: id.value >> 64).bigEndian, toByteOffset: offset, as: UInt64.self)
        base.storeBytes(of: UInt64(truncatingIfNeeded: id.value).bigEndian, toByteOffset: offset + 8, as: UInt64.self)
    }

    /// Encodes the fields of a document.
    func encode(_ document: some Encodable) throws {
        begin()
        let start = count
        frames[0] = Frame(start: start, isArray: false, isDictionary: false, isSealed: false)
        if type(of: document) == JSONValue.self, let object = document as? JSONValue {
            guard case .object(let fields) = object else { throw notAnObject(object) }
            try write(fields: fields)
        } else {
            try document.encode(to: RecordEncoding(state: self, depth: -1, start: start))
        }
        try finish()
    }

    /// Takes over the fields of a stored document, with another value in the place of one of theirs.
    func copy(_ fields: UnsafeRawBufferPointer, replacing place: Range<Int>, by value: JSONValue) throws {
        begin()
        write(raw: UnsafeRawBufferPointer(rebasing: fields[..<place.lowerBound]))
        try write(json: value, nesting: 0)
        write(raw: UnsafeRawBufferPointer(rebasing: fields[place.upperBound...]))
    }

    /// A header takes at most 31 bytes; it is written when all of it is known, in front of the fields.
    private static let headerSpace = 32

    private func begin() {
        count = Self.headerSpace
        depth = 0
        promisedSlot = -1
        failure = nil
        expectedIndex = 0
    }

    private func finish() throws {
        try closeFrames(above: 0)
        keepPromise()
        if let failure { throw failure }
    }

    private func notAnObject(_ value: Any) -> EncodingError {
        .invalidValue(value, .init(codingPath: [], debugDescription: "a document has to encode as an object"))
    }

    // MARK: Frames

    /// Before a container writes: ends what was opened inside it since.
    @inline(__always)
    func enter(depth: Int, start: Int) throws {
        if self.depth != depth { try closeFrames(above: depth) }
        guard frames[depth].start == start, !frames[depth].isSealed else { throw failure ?? interleaved() }
        if promisedSlot >= 0 { keepPromise() }
    }

    private func closeFrames(above target: Int) throws {
        guard depth >= target else { throw interleaved() }
        keepPromise()
        while depth > target {
            let frame = frames[depth]
            if !frame.isSealed {
                let byteCount = UInt32(count - frame.start - 5)
                base.storeBytes(of: byteCount.littleEndian, toByteOffset: frame.start + 1, as: UInt32.self)
            }
            depth -= 1
        }
    }

    private func keepPromise() {
        if promisedSlot == count { writeEmptyObject() }
        promisedSlot = -1
    }

    private func interleaved() -> EncodingError {
        .invalidValue(
            (),
            .init(codingPath: [], debugDescription: "a container was written to after another one had taken its place"))
    }

    func fail(_ error: @autoclosure () -> any Error) {
        if failure == nil { failure = error() }
    }

    /// Opens an array or object as the value whose place starts at `start`, inside the frame at `parent`; returns its
    /// depth. Asked again for the same place, as classes and their superclasses do, it is the same one.
    func open(parent: Int, start: Int, isArray: Bool, isDictionary: Bool = false) -> Int {
        if parent < 0 {
            if isArray { fail(notAnObject("array")) }
            return 0
        }
        if depth > parent, frames[parent + 1].start == start { return parent + 1 }
        guard count == start, depth == parent, parent < RecordFormat.nestingLimit else {
            fail(
                parent < RecordFormat.nestingLimit
                    ? interleaved()
                    : EncodingError.invalidValue(
                        start, .init(codingPath: [], debugDescription: "nested deeper than \(parent) levels")))
            // The container is never written to: entering it fails.
            return 0
        }
        writeByte(isArray ? RecordTag.array : RecordTag.object)
        writeFixed(UInt32(0))
        depth += 1
        frames[depth] = Frame(start: start, isArray: isArray, isDictionary: isDictionary, isSealed: false)
        return depth
    }

    func frameStart(_ depth: Int) -> Int { frames[depth].start }

    func promiseValue() { promisedSlot = count }

    /// Whether keys of that type are data, as those of a `Dictionary`, and not names of properties.
    func isDictionaryKey(_ type: any CodingKey.Type) -> Bool {
        let id = ObjectIdentifier(type)
        if let lastKeyType, lastKeyType.type == id { return lastKeyType.isDictionary }
        let isDictionary = String(reflecting: type) == "Swift._DictionaryCodingKey"
        lastKeyType = (id, isDictionary)
        return isDictionary
    }

    // MARK: Names

    /// Writes the name of the field that follows.
    @inline(__always)
    func writeName(_ name: String, depth: Int) throws {
        if expectedIndex < expected.count, expected[expectedIndex].name == name, !frames[depth].isDictionary {
            let id = expected[expectedIndex].id
            expectedIndex &+= 1
            return writeVarint(UInt64(id))
        }
        try writeUnexpectedName(name, isDictionary: frames[depth].isDictionary)
    }

    private func writeUnexpectedName(_ name: String, isDictionary: Bool) throws {
        var id: UInt32 = 0
        if !isDictionary {
            if let known = table.id(of: name) {
                id = known
            } else {
                id = try names.register(name)
                table = names.current
            }
        }
        guard id != 0 else {
            writeByte(0)
            writeVarint(UInt64(name.utf8.count))
            return writeUTF8(name)
        }
        writeVarint(UInt64(id))
        if expectedIndex + 1 < expected.count, expected[expectedIndex + 1].name == name {
            // The field before was left out this time.
            expectedIndex += 2
        } else if expectedIndex < expected.count {
            expected[expectedIndex] = (name, id)
            expectedIndex += 1
        } else if expected.count < Self.longestExpectation {
            expected.append((name, id))
            expectedIndex += 1
        }
    }

    // MARK: Bytes

    @inline(__always)
    private func reserve(_ byteCount: Int) {
        if capacity &- count < byteCount { grow(byteCount) }
    }

    private func grow(_ byteCount: Int) {
        let larger = max(2 * capacity, count + byteCount)
        let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        moved.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = moved
        capacity = larger
    }

    @inline(__always)
    func writeByte(_ byte: UInt8) {
        reserve(1)
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    @inline(__always)
    func writeFixed<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        reserve(MemoryLayout<Value>.size)
        base.storeBytes(of: value.littleEndian, toByteOffset: count, as: Value.self)
        count &+= MemoryLayout<Value>.size
    }

    @inline(__always)
    func writeVarint(_ value: UInt64) {
        reserve(10)
        var rest = value
        while rest >= 0x80 {
            base.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: count, as: UInt8.self)
            count &+= 1
            rest >>= 7
        }
        base.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    func write(raw content: UnsafeRawBufferPointer) {
        guard content.count > 0 else { return }
        reserve(content.count)
        base.advanced(by: count).copyMemory(from: content.baseAddress!, byteCount: content.count)
        count &+= content.count
    }

    private func writeUTF8(_ text: String) {
        text.withBytes { write(raw: $0) }
    }

    private func writeEmptyObject() {
        writeByte(RecordTag.object)
        writeFixed(UInt32(0))
    }

    // MARK: Values

    func writeNull() { writeByte(RecordTag.null) }
    func write(_ value: Bool) { writeByte(value ? RecordTag.true : RecordTag.false) }

    @inline(__always)
    func write(_ value: Int64) {
        if value >= 0, value < Int64(RecordTag.smallLimit) {
            return writeByte(RecordTag.smallInteger | UInt8(truncatingIfNeeded: value))
        }
        writeByte(RecordTag.integer)
        writeVarint(zigzag(value))
    }

    func write(_ value: UInt64) {
        if let signed = Int64(exactly: value) { return write(signed) }
        writeByte(RecordTag.unsigned)
        writeVarint(value)
    }

    func write(_ value: Double) {
        writeByte(RecordTag.double)
        writeFixed(value.bitPattern)
    }

    func write(_ value: Float) {
        writeByte(RecordTag.float)
        writeFixed(value.bitPattern)
    }

    @inline(__always)
    func write(_ value: String) {
        let byteCount = value.utf8.count
        if byteCount < RecordTag.smallLimit {
            writeByte(RecordTag.shortString | UInt8(truncatingIfNeeded: byteCount))
        } else {
            writeByte(RecordTag.string)
            writeVarint(UInt64(byteCount))
        }
        writeUTF8(value)
    }

    func write(_ value: DocumentID) {
        writeByte(RecordTag.id)
        writeFixed(UInt64(truncatingIfNeeded: value.value >> 64).byteSwapped)
        writeFixed(UInt64(truncatingIfNeeded: value.value).byteSwapped)
    }

    func write(_ value: Timestamp) {
        writeByte(RecordTag.date)
        writeVarint(zigzag(value.milliseconds))
    }

    func write(bytes content: UnsafeRawBufferPointer) {
        writeByte(RecordTag.bytes)
        writeVarint(UInt64(content.count))
        write(raw: content)
    }

    /// Turns the open, still empty array into a value of bytes.
    func sealAsBytes(_ content: [UInt8]) -> Bool {
        let start = frames[depth].start
        guard frames[depth].isArray, count == start + 5 else { return false }
        count = start
        content.withUnsafeBytes { write(bytes: $0) }
        frames[depth].isSealed = true
        return true
    }
}
