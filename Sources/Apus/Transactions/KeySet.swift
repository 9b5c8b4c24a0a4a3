// The keys that a transaction has read: one behind the other in one buffer, because remembering a key must not cost more
// than looking it up.

import ApusIO

/// Keys, each once.
struct KeySet {
    private struct Key {
        let end: Int
        let hash: UInt64
    }

    private var bytes: [UInt8] = []
    private var keys: [Key] = []
    /// Open addressing: numbers of keys, counted from 1; 0 is free. At most half of it is in use. Empty while there are
    /// so few keys that they are compared one by one.
    private var table: [UInt32] = []
    private static let fewKeys = 8

    mutating func insert(_ key: UnsafeRawBufferPointer) {
        let hash = KeyHash.of(key)
        if table.isEmpty {
            for number in keys.indices where isKey(number, key, hash) { return }
        } else {
            var slot = Int(truncatingIfNeeded: hash) & (table.count &- 1)
            while table[slot] != 0 {
                if isKey(Int(table[slot]) &- 1, key, hash) { return }
                slot = (slot &+ 1) & (table.count &- 1)
            }
            table[slot] = UInt32(keys.count &+ 1)
        }
        bytes.append(contentsOf: key)
        keys.append(Key(end: bytes.count, hash: hash))
        if keys.count >= Self.fewKeys, 2 * keys.count > table.count { spread() }
    }

    /// Calls `body` with every key, in the order in which they came.
    func visit(_ body: (UnsafeRawBufferPointer) throws(ApusError) -> Void) throws(ApusError) {
        try bytes.withBytes { (bytes) throws(ApusError) in
            for number in keys.indices { try body(UnsafeRawBufferPointer(rebasing: bytes[range(number)])) }
        }
    }

    private func range(_ number: Int) -> Range<Int> {
        (number == 0 ? 0 : keys[number &- 1].end)..<keys[number].end
    }

    private func isKey(_ number: Int, _ key: UnsafeRawBufferPointer, _ hash: UInt64) -> Bool {
        guard keys[number].hash == hash else { return false }
        return bytes.withUnsafeBytes { equalBytes(UnsafeRawBufferPointer(rebasing: $0[range(number)]), key) }
    }

    /// A larger table.
    private mutating func spread() {
        table = [UInt32](repeating: 0, count: max(4 * Self.fewKeys, 2 * table.count))
        for (number, key) in keys.enumerated() {
            var slot = Int(truncatingIfNeeded: key.hash) & (table.count &- 1)
            while table[slot] != 0 { slot = (slot &+ 1) & (table.count &- 1) }
            table[slot] = UInt32(number &+ 1)
        }
    }
}
