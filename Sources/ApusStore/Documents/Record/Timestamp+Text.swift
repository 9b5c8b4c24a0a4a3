// Times as text, ISO 8601 in UTC, without Foundation: days are counted by the civil calendar algorithms of Howard
// Hinnant ("chrono-Compatible Low-Level Date Algorithms").

extension Timestamp: LosslessStringConvertible {
    private static let millisecondsPerDay: Int64 = 86_400_000

    /// `2024-01-31T12:00:00.000Z`
    public var description: String {
        var days = milliseconds / Self.millisecondsPerDay
        var rest = milliseconds % Self.millisecondsPerDay
        if rest < 0 {
            days -= 1
            rest += Self.millisecondsPerDay
        }
        let (year, month, day) = Self.civil(from: days)
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value.magnitude)
            return (value < 0 ? "-" : "") + String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
        }
        return padded(year, 4) + "-" + padded(month, 2) + "-" + padded(day, 2) + "T" + padded(rest / 3_600_000, 2) + ":"
            + padded(rest / 60_000 % 60, 2) + ":" + padded(rest / 1000 % 60, 2) + "." + padded(rest % 1000, 3) + "Z"
    }

    /// From `2024-01-31`, `2024-01-31T12:00`, `2024-01-31T12:00:00`, and with a fraction of up to nine digits; UTC,
    /// whether or not a `Z` says so.
    public init?(_ description: String) {
        var text = Substring(description)
        let isNegative = text.hasPrefix("-")
        if isNegative { text.removeFirst() }
        func number(_ digits: ClosedRange<Int>) -> Int64? {
            let found = text.prefix { ("0"..."9").contains($0) }
            guard digits.contains(found.utf8.count), let value = Int64(found) else { return nil }
            text = text.dropFirst(found.count)
            return value
        }
        func take(_ character: Character) -> Bool {
            guard text.first == character else { return false }
            text.removeFirst()
            return true
        }
        guard let year = number(4...6), take("-"), let month = number(2...2), take("-"), let day = number(2...2),
            (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        let days = Self.days(year: isNegative ? -year : year, month: month, day: day)
        guard Self.civil(from: days).day == day else { return nil }
        var rest: Int64 = 0
        if take("T") || take(" ") {
            guard let hour = number(2...2), take(":"), let minute = number(2...2), hour < 24, minute < 60 else {
                return nil
            }
            rest = (hour * 60 + minute) * 60_000
            if take(":") {
                guard let second = number(2...2), second < 60 else { return nil }
                rest += second * 1000
                if take(".") {
                    let digits = text.prefix { ("0"..."9").contains($0) }
                    guard (1...9).contains(digits.count), let value = Int64((digits + "00").prefix(3)) else {
                        return nil
                    }
                    rest += value
                    text = text.dropFirst(digits.count)
                }
            }
        }
        _ = take("Z")
        guard text.isEmpty else { return nil }
        self.init(milliseconds: days * Self.millisecondsPerDay + rest)
    }

    /// Days since 1970-01-01.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func civil(from days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}
