// What kind of answer a query in text asks for, for callers that do not want all of it in memory.

import Apus

extension DocumentQuery where Root == JSONValue {
    /// Whether the answer is documents, which `forEach` gives one after the other, and not a number or groups.
    public var asksForDocuments: Bool { specification.output == .documents }
}
