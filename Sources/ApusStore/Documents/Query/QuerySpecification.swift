// What a query asks for, whether it was put together in Swift or parsed from text.

import Apus

/// The direction of an order.
public enum SortOrder: String, Sendable, Hashable {
    case ascending = "asc"
    case descending = "desc"
}

/// What is computed over the documents of a group.
public struct Aggregate: Sendable, Hashable, CustomStringConvertible {
    enum Function: String, Sendable, CaseIterable {
        case count, sum, avg, min, max
    }

    let function: Function
    /// nil: the documents themselves are counted.
    let path: FieldPath?
    /// A key path without a name.
    let error: StoreError?

    public static func == (a: Aggregate, b: Aggregate) -> Bool { a.function == b.function && a.path == b.path }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(function)
        hasher.combine(path)
    }

    init(_ function: Function, _ path: FieldPath?) {
        self.function = function
        self.path = path
        error = nil
    }

    private init(_ function: Function, _ keyPath: AnyKeyPath) {
        self.function = function
        do throws(StoreError) {
            path = try FieldPath(keyPath)
            error = nil
        } catch {
            path = nil
            self.error = error
        }
    }

    /// The number of documents.
    public static var count: Aggregate { Aggregate(.count, nil) }
    /// The sum of the field's numbers: an integer if all of them are, else a fraction. null if there is none.
    public static func sum<Root>(_ field: KeyPath<Root, some Any>) -> Aggregate { Aggregate(.sum, field) }
    /// The mean of the field's numbers; null if there is none.
    public static func average<Root>(_ field: KeyPath<Root, some Any>) -> Aggregate { Aggregate(.avg, field) }
    /// The least value of the field that is not null.
    public static func min<Root>(_ field: KeyPath<Root, some Any>) -> Aggregate { Aggregate(.min, field) }
    /// The greatest value of the field that is not null.
    public static func max<Root>(_ field: KeyPath<Root, some Any>) -> Aggregate { Aggregate(.max, field) }

    public static func sum(_ field: FieldPath) -> Aggregate { Aggregate(.sum, field) }
    public static func average(_ field: FieldPath) -> Aggregate { Aggregate(.avg, field) }
    public static func min(_ field: FieldPath) -> Aggregate { Aggregate(.min, field) }
    public static func max(_ field: FieldPath) -> Aggregate { Aggregate(.max, field) }

    public var description: String { path.map { "\(function.rawValue)(\($0))" } ?? function.rawValue }
}

struct SortKey: Sendable, Hashable {
    var path: FieldPath
    var order: SortOrder
}

struct QuerySpecification: Sendable {
    enum Output: Sendable, Hashable {
        case documents
        case count
        case distinct(FieldPath)
        case groups(by: [FieldPath], [Aggregate])
    }

    var condition: Expression = .always
    var order: [SortKey] = []
    var limit: Int?
    var offset = 0
    var output = Output.documents
}
