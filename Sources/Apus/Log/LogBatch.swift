// What the log knows of the batches that it carries.  FORMAT.md §3.3
//
//   entry count u32 │ per entry: kind u8 │ keyspace id varint │ key length varint │ key │ payload length varint │ payload
//
// The entries of a batch have consecutive sequence numbers; the frame has that of the first one.

enum LogBatch {
    static let countByteCount = 4
    /// Kind, keyspace, key length, one byte of key, payload length.
    static let minimumEntryByteCount = 5
}
