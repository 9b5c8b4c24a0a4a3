// What a query asks for, whether it was put together in Swift or parsed from text.

import Apus

/// The direction of an order.
public enum SortOrder: String, Sendable, Hashable {
    case ascending = "asc"
    case descending = "desc"
}

/// What is computed over the documents of a group.
public struct Aggregate<Root>: Sendable {
    let computation: Result<Computation, StoreError>

    private init(_ function: Computation.Function, _ keyPath: AnyKeyPath) {
        do throws(StoreError) {
            computation = .success(Computation(function: function, path: try FieldPath(keyPath)))
        } catch {
            computation = .failure(error)
        }
    }

    private init(_ function: Computation.Function, _ path: FieldPath?) {
        computation = .success(Computation(function: function, path: path))
    }

    /// The number of documents.
    public static var count: Aggregate { Aggregate(.count, nil as FieldPath?) }
    /// The sum of the field's numbers: an integer if all of them are, else a fraction. null if there is none.
    public static func sum(_ field: PartialKeyPath<Root>) -> Aggregate { Aggregate(.sum, field) }
    /// The mean of the field's numbers; null if there is none.
    public static func average(_ field: PartialKeyPath<Root>) -> Aggregate { Aggregate(.avg, field) }
    /// The least value of the field that is not null.
    public static func min(_ field: PartialKeyPath<Root>) -> Aggregate { Aggregate(.min, field) }
    /// The greatest value of the field that is not null.
    public static func max(_ field: PartialKeyPath<Root>) -> Aggregate { Aggregate(.max, field) }
}

extension Aggregate where Root == JSONValue {
    public static func sum(_ field: FieldPath) -> Aggregate { Aggregate(.sum, field) }
    public static func average(_ field: FieldPath) -> Aggregate { Aggregate(.avg, field) }
    public static func min(_ field: FieldPath) -> Aggregate { Aggregate(.min, field) }
    public static func max(_ field: FieldPath) -> Aggregate { Aggregate(.max, field) }
}

/// An aggregate without the type of the documents.
struct Computation: Sendable, Hashable {
    enum Function: String, Sendable, CaseIterable {
        case count, sum, avg, min, max
    }

    var function: Function
    /// nil: the documents themselves are counted.
    var path: FieldPath?
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
        case groups(by: [FieldPath], [Computation])
    }

    var condition: Expression = .always
    var order: [SortKey] = []
    var limit: Int?
    var offset = 0
    var output = Output.documents
}
