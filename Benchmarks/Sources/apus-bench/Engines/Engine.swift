// The engines this build knows, and the one place where a name becomes an adapter.

enum Engine: String, CaseIterable, Codable, Sendable {
    case apus
    case rocksdb
    case leveldb
    case lmdb
    case wiredTigerLSM = "wiredtiger-lsm"
    case wiredTigerBTree = "wiredtiger-btree"
    case sqlite
    /// Not an engine: see NullAdapter.
    case loop

    /// What runs unless the user names engines.
    static let comparable = allCases.filter { $0 != .loop }

    /// Nil when the engine is compiled in, else what to do about it.
    var missing: String? {
        switch self {
        case .apus:
            #if ENGINE_APUS
            return nil
            #else
            return "the engine's sources are not there"
            #endif
        case .rocksdb:
            #if PEER_ROCKSDB
            return nil
            #else
            return "install librocksdb-dev, or set ROCKSDB_LIBRARY_PATH, and build again"
            #endif
        case .leveldb:
            #if PEER_LEVELDB
            return nil
            #else
            return "install libleveldb-dev, or set LEVELDB_LIBRARY_PATH, and build again"
            #endif
        case .lmdb:
            #if PEER_LMDB
            return nil
            #else
            return "install liblmdb-dev and build again"
            #endif
        case .wiredTigerLSM, .wiredTigerBTree:
            #if PEER_WIREDTIGER
            return nil
            #else
            return "install libwiredtiger-dev and build again"
            #endif
        case .sqlite:
            #if PEER_SQLITE
            return nil
            #else
            return "install libsqlite3-dev and build again"
            #endif
        case .loop:
            return nil
        }
    }

    func describe(_ settings: EngineSettings) -> String {
        final class Describe: AdapterVisitor {
            let settings: EngineSettings
            var text = ""
            init(settings: EngineSettings) { self.settings = settings }
            func visit<Adapter: EngineAdapter>(_ adapter: Adapter.Type) { text = adapter.describe(settings) }
        }
        let visitor = Describe(settings: settings)
        try? withAdapter(visitor)
        return visitor.text
    }

    /// Calls the visitor with a concrete type, for which the compiler then specialises the whole loop: no engine pays
    /// for a dynamic call that another does not.
    func withAdapter(_ visitor: some AdapterVisitor) throws {
        if let missing { throw BenchmarkError("\(rawValue) is not in this build: \(missing)") }
        switch self {
        case .apus:
            #if ENGINE_APUS
            try visitor.visit(ApusAdapter.self)
            #else
            break
            #endif
        case .rocksdb:
            #if PEER_ROCKSDB
            try visitor.visit(RocksDBAdapter.self)
            #else
            break
            #endif
        case .leveldb:
            #if PEER_LEVELDB
            try visitor.visit(LevelDBAdapter.self)
            #else
            break
            #endif
        case .lmdb:
            #if PEER_LMDB
            try visitor.visit(LMDBAdapter.self)
            #else
            break
            #endif
        case .wiredTigerLSM:
            #if PEER_WIREDTIGER
            try visitor.visit(WiredTigerAdapter<WiredTigerLSM>.self)
            #else
            break
            #endif
        case .wiredTigerBTree:
            #if PEER_WIREDTIGER
            try visitor.visit(WiredTigerAdapter<WiredTigerBTree>.self)
            #else
            break
            #endif
        case .sqlite:
            #if PEER_SQLITE
            try visitor.visit(SQLiteAdapter.self)
            #else
            break
            #endif
        case .loop:
            try visitor.visit(NullAdapter.self)
        }
    }
}

protocol AdapterVisitor: AnyObject {
    func visit<Adapter: EngineAdapter>(_ adapter: Adapter.Type) throws
}
