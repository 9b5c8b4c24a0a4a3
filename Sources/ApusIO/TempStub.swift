extension Environment { public static func system(compactionThreads: Int = 1) -> Environment { preconditionFailure() } }
public var currentProcessDescription: String { "" }
