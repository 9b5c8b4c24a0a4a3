// A condition made ready for the records of one collection: names are numbers, and evaluation copies nothing.

import Apus

indirect enum CompiledCondition: Sendable {
    case always
    case compare(ResolvedPath, Comparison, JSONValue)
    case among(ResolvedPath, [JSONValue])
    case contains(ResolvedPath, JSONValue)
    case text(ResolvedPath, TextMatch, [UInt8])
    case not(CompiledCondition)
    case and([CompiledCondition])
    case or([CompiledCondition])

    init(_ expression: Expression, _ names: FieldNameTable) {
        switch expression {
        case .always: self = .always
        case .compare(let path, let comparison, let value): self = .compare(names.resolve(path), comparison, value)
        case .among(let path, let values): self = .among(names.resolve(path), values)
        case .contains(let path, let value): self = .contains(names.resolve(path), value)
        case .text(let path, let match, let text): self = .text(names.resolve(path), match, Array(text.utf8))
        case .not(let inner): self = .not(CompiledCondition(inner, names))
        case .and(let parts): self = .and(parts.map { CompiledCondition($0, names) })
        case .or(let parts): self = .or(parts.map { CompiledCondition($0, names) })
        }
    }

    func holds(_ record: RecordView) throws(RecordDamage) -> Bool {
        switch self {
        case .always: return true
        case .compare(let path, let comparison, let constant):
            let value = try record.scalar(at: path)
            let order = constant.withScalar { value.order($0) }
            guard let order else { return comparison == .notEqual }
            return comparison.holds(order)
        case .among(let path, let constants):
            let value = try record.scalar(at: path)
            return constants.contains { $0.withScalar { value.isEqual($0) } }
        case .contains(let path, let constant):
            guard let array = try record.value(at: path), array.tag == RecordTag.array else { return false }
            var cursor = RecordCursor(array.content)
            while !cursor.isAtEnd {
                let element = Scalar(try cursor.value())
                if constant.withScalar({ element.isEqual($0) }) { return true }
            }
            return false
        case .text(let path, let match, let text):
            guard case .string(let content) = try record.scalar(at: path) else { return false }
            switch match {
            case .prefix: return content.starts(with: text)
            case .suffix: return content.count >= text.count && content.suffix(text.count).elementsEqual(text)
            case .inside: return Self.contains(content, text)
            }
        case .not(let inner): return try !inner.holds(record)
        case .and(let parts):
            for part in parts where try !part.holds(record) { return false }
            return true
        case .or(let parts):
            for part in parts where try part.holds(record) { return true }
            return false
        }
    }

    private static func contains(_ content: UnsafeRawBufferPointer, _ part: [UInt8]) -> Bool {
        guard let first = part.first else { return true }
        guard content.count >= part.count else { return false }
        for start in 0...(content.count - part.count) where content[start] == first {
            if content[start...].starts(with: part) { return true }
        }
        return false
    }
}

extension RecordView {
    func scalar(at path: ResolvedPath) throws(RecordDamage) -> Scalar {
        guard let value = try value(at: path) else { return .null }
        return Scalar(value)
    }
}
