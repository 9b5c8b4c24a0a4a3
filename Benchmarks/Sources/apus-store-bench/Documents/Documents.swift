// Documents beside SQLite and GRDB: messages of conversations, as an application keeps them.

import Apus
import ApusStore

func runDocuments(_ bench: Bench) throws {
}
