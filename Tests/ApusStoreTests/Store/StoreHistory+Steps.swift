// The steps of a history: transactions over documents, vectors, blobs and sessions at once.

import Apus

@testable import ApusStore

extension StoreHistory {
    private func anyThread(_ model: StoreModel) -> DocumentID? {
        model.threads.values.sorted { $0.title < $1.title }.randomElement(using: &random)?.id
    }

    private func anyLetter(_ model: StoreModel) -> Letter? {
        model.letters.values.sorted { $0.number < $1.number }.randomElement(using: &random)
    }

    /// The session that a transaction belongs to, which is touched with it.
    private func use(_ session: SessionID?, _ transaction: StoreTransaction, _ model: inout StoreModel) throws {
        let sessions = collections.sessions
        guard let id = session, let state = model.sessions[id] else {
            let user = "user \(random.below(3))"
            let session = try sessions.create(user: user, data: [1], in: transaction)
            model.sessions[session.id] = StoreModel.SessionState(
                user: user, data: [1], lastActive: transaction.time)
            return
        }
        if random.chance(50) {
            guard try sessions.touch(id, in: transaction) else { throw HistoryFailure("\(id) is gone") }
        } else {
            let data = state.data + [2]
            guard try sessions.load(id, in: transaction)?.data == state.data,
                try sessions.update(id, data: data, in: transaction)
            else { throw HistoryFailure("\(id) is gone, or other than expected") }
            model.sessions[id]!.data = data
        }
        model.sessions[id]!.lastActive = transaction.time
    }

    private func anySession() -> SessionID? {
        random.chance(20) ? nil : model.sessions.keys.sorted().randomElement(using: &random)
    }

    private func attach(_ content: [UInt8]?, _ transaction: StoreTransaction) throws -> String? {
        guard let content else { return nil }
        let id = try collections.blobs.put(content, in: transaction)
        try collections.blobs.retain(id, in: transaction)
        return id.description
    }

    private func detach(_ attachment: String?, _ transaction: StoreTransaction) throws {
        guard let attachment else { return }
        try collections.blobs.release(BlobID(hexadecimal: attachment)!, in: transaction)
    }

    private func writeVector(of letter: Letter, _ transaction: StoreTransaction) throws {
        try collections.vectors.upsert(
            "\(letter.id)", StoreModel.vector(of: letter), metadata: StoreModel.metadata(of: letter), in: transaction)
    }

    private func dropParts(of letter: Letter, _ transaction: StoreTransaction) throws {
        guard try collections.vectors.delete("\(letter.id)", in: transaction) else {
            throw HistoryFailure("\(letter) has no vector")
        }
        try detach(letter.attachment, transaction)
    }

    func send() throws {
        let content: [UInt8]? = random.chance(60) ? makeContent() : nil
        if let content { contentPool = Array((contentPool + [content]).suffix(8)) }
        let session = anySession()
        let isNewThread = random.chance(25)
        let savesPart = random.chance(15)
        try commit("send a letter with \(content.map { "\($0.count)" } ?? "no") bytes") { transaction, after in
            try use(session, transaction, &after)
            var thread = isNewThread ? nil : anyThread(after)
            if thread == nil {
                let number = (after.threads.values.map { Int($0.title.dropFirst(7)) ?? 0 }.max() ?? 0) + 1
                let new = MailThread(title: "thread \(1_000_000 + number)")
                let id = try collections.threads.insert(new, in: transaction)
                after.threads[id] = MailThread(id: id, title: new.title)
                thread = id
            }
            var letter = Letter(
                thread: thread!, number: (after.letters.values.map(\.number).max() ?? 0) + 1, text: "text",
                attachment: nil)
            if savesPart {
                // A part that is taken back leaves nothing in any collection.
                let savepoint = transaction.savepoint()
                var spoiled = letter
                spoiled.attachment = try attach(makeContent(), transaction)
                spoiled.id = try collections.letters.insert(spoiled, in: transaction)
                try writeVector(of: spoiled, transaction)
                try transaction.rollBack(to: savepoint)
            }
            letter.attachment = try attach(content, transaction)
            letter.id = try collections.letters.insert(letter, in: transaction)
            try writeVector(of: letter, transaction)
            after.letters[letter.id] = letter
        }
    }

    func rewrite() throws {
        guard var letter = anyLetter(model) else { return }
        let old = letter
        let content: [UInt8]? = random.chance(50) ? makeContent() : nil
        let session = anySession()
        try commit("rewrite letter \(letter.number)") { transaction, after in
            try use(session, transaction, &after)
            letter = old
            letter.text += "!"
            // The new attachment may be the old one: it must not go in between.
            letter.attachment = try attach(content, transaction)
            try detach(old.attachment, transaction)
            try collections.letters.update(letter, in: transaction)
            try writeVector(of: letter, transaction)
            after.letters[letter.id] = letter
        }
    }

    func remove() throws {
        guard let letter = anyLetter(model) else { return }
        let session = anySession()
        try commit("remove letter \(letter.number)") { transaction, after in
            try use(session, transaction, &after)
            guard try collections.letters.delete(letter.id, in: transaction) else {
                throw HistoryFailure("\(letter) is gone")
            }
            try dropParts(of: letter, transaction)
            after.letters[letter.id] = nil
        }
    }

    /// The letters go with their thread by the schema; vectors and attachments by hand.
    func removeThread() throws {
        guard let thread = anyThread(model) else { return }
        try commit("remove a thread") { transaction, after in
            for letter in try collections.letters.query(in: transaction).filter(\.thread == thread).all() {
                try dropParts(of: letter, transaction)
                after.letters[letter.id] = nil
            }
            guard try collections.threads.delete(thread, in: transaction) else {
                throw HistoryFailure("the thread is gone")
            }
            after.threads[thread] = nil
        }
    }

    func endSession() throws {
        guard let id = anySession() else { return }
        try commit("end a session") { transaction, after in
            guard try collections.sessions.end(id, in: transaction) else { throw HistoryFailure("\(id) is gone") }
            after.sessions[id] = nil
        }
    }

    func collectGarbage() throws {
        note("collect garbage")
        let garbage = try collections.blobs.collectGarbage()
        note("\(garbage)")
    }

    /// Goes on with a content that is put piece by piece, across other steps and without a reference in the end.
    func stream() throws {
        guard let current = writer else {
            note("begin a content")
            writer = collections.blobs.makeWriter()
            return
        }
        writer = nil
        let content = makeContent()
        note("write \(content.count)")
        try current.write(content)
        if random.chance(30) {
            note("finish the content")
            try current.finish(durability: .relaxed)
        } else {
            writer = current
        }
    }
}
