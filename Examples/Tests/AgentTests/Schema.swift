// The schema as such programs declare it in SQLite, in one database instead of four. What the store's schemas call
// `restrict` is SQLite's NO ACTION: both ask at the end, so that what a deletion takes along is no obstacle.

enum SQLiteSchema {
    static let text = """
        CREATE TABLE Conversation (
            id TEXT PRIMARY KEY NOT NULL, project TEXT NOT NULL, title TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('active', 'archived')),
            created INTEGER NOT NULL, updated INTEGER NOT NULL, tokens INTEGER NOT NULL CHECK (tokens >= 0),
            UNIQUE (project, title));
        CREATE INDEX conversationByUpdate ON Conversation (project, updated DESC);
        CREATE INDEX activeConversations ON Conversation (updated) WHERE status = 'active';

        CREATE TABLE Message (
            id TEXT PRIMARY KEY NOT NULL,
            conversation TEXT NOT NULL REFERENCES Conversation (id) ON DELETE CASCADE,
            sequence INTEGER NOT NULL CHECK (sequence >= 0),
            parent TEXT REFERENCES Message (id) ON DELETE SET NULL,
            role TEXT NOT NULL CHECK (role IN ('system', 'user', 'assistant', 'tool')),
            time INTEGER NOT NULL, text TEXT NOT NULL, tokens INTEGER NOT NULL CHECK (tokens >= 0), model TEXT,
            UNIQUE (conversation, sequence));
        CREATE INDEX messageByTime ON Message (conversation, time, sequence);
        CREATE INDEX messageByParent ON Message (parent);

        CREATE TABLE ToolCall (
            id TEXT PRIMARY KEY NOT NULL, message TEXT NOT NULL REFERENCES Message (id) ON DELETE CASCADE,
            position INTEGER NOT NULL CHECK (position >= 0), tool TEXT NOT NULL, arguments TEXT NOT NULL, result TEXT,
            status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'succeeded', 'failed')),
            started INTEGER NOT NULL, milliseconds INTEGER CHECK (milliseconds >= 0),
            UNIQUE (message, position));
        CREATE INDEX toolCallByTool ON ToolCall (tool, status, started);

        CREATE TABLE Attachment (
            id TEXT PRIMARY KEY NOT NULL, message TEXT NOT NULL REFERENCES Message (id) ON DELETE CASCADE,
            name TEXT NOT NULL CHECK (name <> ''), mediaType TEXT NOT NULL, content TEXT NOT NULL,
            byteCount INTEGER NOT NULL CHECK (byteCount >= 0),
            UNIQUE (message, name));

        CREATE TABLE Compaction (
            id TEXT PRIMARY KEY NOT NULL,
            conversation TEXT NOT NULL REFERENCES Conversation (id) ON DELETE CASCADE,
            lastSequence INTEGER NOT NULL CHECK (lastSequence >= 0), summary TEXT NOT NULL,
            tokensBefore INTEGER NOT NULL CHECK (tokensBefore >= 0),
            tokensAfter INTEGER NOT NULL CHECK (tokensAfter >= 0), time INTEGER NOT NULL,
            UNIQUE (conversation, lastSequence));
        CREATE INDEX compactionByTime ON Compaction (conversation, time DESC);

        CREATE TABLE Component (
            id TEXT PRIMARY KEY NOT NULL, path TEXT NOT NULL UNIQUE, name TEXT NOT NULL CHECK (name <> ''),
            kind TEXT NOT NULL CHECK (kind IN ('package', 'target', 'folder', 'service', 'test')),
            parent TEXT REFERENCES Component (id) ON DELETE SET NULL, purpose TEXT,
            importance REAL NOT NULL CHECK (importance BETWEEN 0 AND 1));
        CREATE INDEX componentByKind ON Component (kind, importance DESC);

        CREATE TABLE DocumentationFile (
            id TEXT PRIMARY KEY NOT NULL, path TEXT NOT NULL UNIQUE,
            component TEXT REFERENCES Component (id) ON DELETE SET NULL, title TEXT NOT NULL,
            kind TEXT NOT NULL CHECK (kind IN ('readme', 'guide', 'reference', 'changelog', 'other')),
            updated INTEGER NOT NULL);

        CREATE TABLE Decision (
            id TEXT PRIMARY KEY NOT NULL, component TEXT NOT NULL REFERENCES Component (id) ON DELETE CASCADE,
            title TEXT NOT NULL, reason TEXT NOT NULL CHECK (reason <> ''),
            status TEXT NOT NULL CHECK (status IN ('proposed', 'accepted', 'superseded', 'rejected')),
            replaces TEXT REFERENCES Decision (id), time INTEGER NOT NULL, tags TEXT NOT NULL);
        CREATE INDEX decisionByStatus ON Decision (status, time DESC);

        CREATE TABLE SuccessPattern (
            id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL,
            successes INTEGER NOT NULL CHECK (successes >= 0), failures INTEGER NOT NULL CHECK (failures >= 0),
            confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1), lastUsed INTEGER);

        CREATE TABLE EffectivenessFeedback (
            id TEXT PRIMARY KEY NOT NULL, pattern TEXT NOT NULL REFERENCES SuccessPattern (id) ON DELETE CASCADE,
            rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5), comment TEXT, time INTEGER NOT NULL);

        CREATE TABLE SourceFile (
            id TEXT PRIMARY KEY NOT NULL, path TEXT NOT NULL CHECK (path <> ''), project TEXT NOT NULL,
            language TEXT NOT NULL, content TEXT NOT NULL, byteCount INTEGER NOT NULL CHECK (byteCount >= 0),
            lineCount INTEGER NOT NULL CHECK (lineCount >= 0), modified INTEGER NOT NULL, indexed INTEGER NOT NULL,
            UNIQUE (project, path));
        CREATE INDEX fileByLanguage ON SourceFile (project, language);

        CREATE TABLE Relationship (
            id TEXT PRIMARY KEY NOT NULL, source TEXT NOT NULL REFERENCES SourceFile (id) ON DELETE CASCADE,
            target TEXT NOT NULL REFERENCES SourceFile (id) ON DELETE CASCADE,
            kind TEXT NOT NULL CHECK (kind IN ('includes', 'tests', 'documents', 'extends', 'calls')),
            strength REAL NOT NULL CHECK (strength BETWEEN 0 AND 1),
            UNIQUE (source, target, kind));

        CREATE TABLE FileChange (
            id TEXT PRIMARY KEY NOT NULL, file TEXT NOT NULL REFERENCES SourceFile (id) ON DELETE CASCADE,
            kind TEXT NOT NULL CHECK (kind IN ('created', 'modified', 'renamed')), time INTEGER NOT NULL,
            linesAdded INTEGER NOT NULL CHECK (linesAdded >= 0),
            linesRemoved INTEGER NOT NULL CHECK (linesRemoved >= 0));
        CREATE INDEX changeByFile ON FileChange (file, time DESC);

        CREATE TABLE AccessPattern (
            id TEXT PRIMARY KEY NOT NULL, file TEXT NOT NULL REFERENCES SourceFile (id) ON DELETE CASCADE,
            session TEXT NOT NULL, reads INTEGER NOT NULL CHECK (reads >= 0),
            writes INTEGER NOT NULL CHECK (writes >= 0), last INTEGER NOT NULL,
            UNIQUE (file, session));

        CREATE TABLE RelevanceScore (
            id TEXT PRIMARY KEY NOT NULL, file TEXT NOT NULL REFERENCES SourceFile (id) ON DELETE CASCADE,
            topic TEXT NOT NULL, score REAL NOT NULL CHECK (score BETWEEN 0 AND 1), computed INTEGER NOT NULL,
            UNIQUE (file, topic));

        CREATE TABLE RelevanceFeedback (
            id TEXT PRIMARY KEY NOT NULL, file TEXT NOT NULL REFERENCES SourceFile (id) ON DELETE CASCADE,
            question TEXT NOT NULL CHECK (question <> ''), isRelevant INTEGER NOT NULL,
            source TEXT NOT NULL CHECK (source IN ('person', 'agent')), time INTEGER NOT NULL,
            UNIQUE (file, question, source));

        CREATE TABLE Snippet (
            id TEXT PRIMARY KEY NOT NULL, file TEXT NOT NULL REFERENCES SourceFile (id) ON DELETE CASCADE,
            firstLine INTEGER NOT NULL CHECK (firstLine >= 1), lastLine INTEGER NOT NULL CHECK (lastLine >= 1),
            kind TEXT NOT NULL CHECK (kind IN ('code', 'comment', 'prose')), text TEXT NOT NULL CHECK (text <> ''),
            UNIQUE (file, firstLine));

        CREATE TABLE SearchIndex (
            id TEXT PRIMARY KEY NOT NULL, model TEXT NOT NULL,
            dimension INTEGER NOT NULL CHECK (dimension BETWEEN 1 AND 8192),
            metric TEXT NOT NULL CHECK (metric IN ('cosine', 'dot', 'l2')), updated INTEGER NOT NULL,
            UNIQUE (model, metric));

        CREATE TABLE EmbeddingRecord (
            id TEXT PRIMARY KEY NOT NULL, snippet TEXT NOT NULL REFERENCES Snippet (id) ON DELETE CASCADE,
            "index" TEXT NOT NULL REFERENCES SearchIndex (id), made INTEGER NOT NULL,
            UNIQUE (snippet, "index"));
        """
}
