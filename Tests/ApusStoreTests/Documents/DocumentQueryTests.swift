// Queries: which index is chosen, what is scanned, and that the answer is right whatever is chosen.

import Apus
import ApusSimulation
import ApusStore
import Testing

@Suite struct DocumentQueryTests {
    private func filled() throws -> (DocumentFixture, Documents<Message>, [DocumentID]) {
        let fixture = try DocumentFixture()
        let talks = try fixture.talks()
        let messages = try fixture.messages()
        let ids = try (0..<4).map { try talks.insert(Talk(title: "talk \($0)")) }
        let roles: [Message.Role] = [.user, .assistant, .tool]
        try fixture.store.transaction { transaction in
            for number in 0..<200 {
                try messages.insert(
                    Message(
                        talk: ids[number % 4], role: roles[number % 3], time: Timestamp(milliseconds: Int64(number)),
                        text: "text \(number)",
                        tags: number % 10 == 0 ? ["ten", "even"] : number % 2 == 0 ? ["even"] : [],
                        score: number % 5 == 0 ? nil : Double(number) / 200), in: transaction)
            }
        }
        return (fixture, messages, ids)
    }

    @Test func theLastMessagesOfATalkComeFromOneIndexInOrder() throws {
        let (_, messages, talks) = try filled()
        let query = messages.query().filter(\.talk == talks[1]).sorted(by: \.time, .descending).limit(5)
        #expect(try query.all().map(\.time.milliseconds) == [197, 193, 189, 185, 181])
        let plan = try query.explain()
        #expect(plan.index == "talk, time" && !plan.sorts && plan.filter == nil)
        #expect(plan.scanned == 5 && plan.fetched == 5 && plan.matched == 5)
        #expect(try query.offset(2).all().map(\.time.milliseconds) == [189, 185, 181, 177, 173])
    }

    @Test func anEqualPrefixAndARangeAreOneWalk() throws {
        let (_, messages, talks) = try filled()
        let from = Timestamp(milliseconds: 50)
        let query = messages.query().filter(
            \.talk == talks[0] && \.time > from && \.time <= Timestamp(milliseconds: 100) && \.role == .user)
        #expect(try query.all().map(\.time.milliseconds) == [60, 72, 84, 96])
        let plan = try query.explain()
        #expect(plan.index == "talk, time" && plan.scanned == 13 && plan.filter == "role == \"user\"")
    }

    @Test func entriesAloneAnswerCounts() throws {
        let (_, messages, talks) = try filled()
        #expect(try messages.query().filter(\.talk == talks[2]).count() == 50)
        let plan = try messages.query("count where role == \"user\"").explain()
        #expect(plan.isIndexOnly && plan.index == "role, score desc" && plan.fetched == 0 && plan.scanned == 67)
        #expect(try messages.query().count() == 200)
    }

    @Test func arraysHaveAnEntryForEachElement() throws {
        let (_, messages, _) = try filled()
        let query = messages.query().filter(.contains(\.tags, "ten"))
        #expect(try query.count() == 20)
        #expect(try query.explain().index == "each tags")
        #expect(try messages.query().filter(.contains(\.tags, "even") && \.role == .tool).count() == 33)
    }

    @Test func aPartialIndexServesWhoDemandsItsCondition() throws {
        let (_, messages, _) = try filled()
        let query = messages.query().filter(\.role == .tool && \.time >= Timestamp(milliseconds: 190))
        #expect(try query.explain().index == "time where role == \"tool\"")
        #expect(try query.all().map(\.time.milliseconds) == [191, 194, 197])
        let others = messages.query().filter(\.time >= Timestamp(milliseconds: 190))
        #expect(try others.explain().index == nil)
        #expect(try others.count() == 10)
    }

    @Test func descendingFieldsGiveTheirOrderBothWays() throws {
        let (_, messages, _) = try filled()
        let down = messages.query().filter(\.role == .user && \.score > 0.5).sorted(by: \.score, .descending)
        let up = messages.query().filter(\.role == .user && \.score > 0.5).sorted(by: \.score)
        #expect(try !down.explain().sorts && !up.explain().sorts)
        let scores = try down.all().compactMap(\.score)
        #expect(scores == scores.sorted(by: >) && scores.count == 26)
        #expect(try up.all().compactMap(\.score) == scores.reversed())
        #expect(try messages.query().filter(\.role == .user && \.score == nil).count() == 14)
    }

    @Test func alternativesAreSeveralWalks() throws {
        let (_, messages, talks) = try filled()
        let query = messages.query().filter(\.talk == talks[0] || \.talk == talks[3])
        #expect(try query.count() == 100)
        #expect(try query.explain().index == "talk, time")
        #expect(try messages.query().filter(.isOne(\.talk, of: [])).count() == 0)
        let ordered = query.sorted(by: \.time).limit(3)
        #expect(try ordered.all().map(\.time.milliseconds) == [0, 3, 4])
        #expect(try ordered.explain().sorts)
    }

    @Test func thePrimaryKeyIsAnIndex() throws {
        let (_, messages, _) = try filled()
        let all = try messages.query().sorted(by: \.id).all()
        let id = all[17].id
        #expect(try messages.query().filter(\.id == id).explain().scanned == 1)
        #expect(try messages.query().filter(\.id == id && \.role == .user).explain().index == nil)
        #expect(
            try messages.query().filter(\.id > id).sorted(by: \.id).limit(3).all().map(\.id) == all[18..<21].map(\.id))
        #expect(try messages.query().filter(\.id <= id).sorted(by: \.id, .descending).keys().count == 18)
    }

    @Test func groupsAndDistinctValues() throws {
        let (_, messages, _) = try filled()
        #expect(try messages.query().distinct(\.role) == ["assistant", "tool", "user"])
        let groups = try messages.query().filter(\.time < Timestamp(milliseconds: 9)).grouped(
            by: \.role, computing: .count, .sum(\.score), .min(\.score), .max(\.text))
        #expect(groups.map(\.key) == ["assistant", "tool", "user"])
        #expect(groups.map { $0.values[0] } == [3, 3, 3])
        #expect(groups[2].values[2] == .double(3.0 / 200) && groups[2].values[3] == "text 6")
        #expect(try messages.query().aggregate(.count) == 200)
        #expect(try messages.query().filter(\.text == "nothing").aggregate(.average(\.score)) == .null)
        #expect(try messages.query().filter(\.text == "nothing").aggregate(.count) == 0)
    }

    @Test func textAsksTheSame() throws {
        let (fixture, messages, talks) = try filled()
        let text = "talk == id(\"\(talks[1])\") and role in [\"user\", 'tool'] order by time desc limit 4 offset 1"
        let inSwift = messages.query().filter(\.talk == talks[1] && .isOne(\.role, of: [.user, .tool])).sorted(
            by: \.time, .descending
        ).limit(4).offset(1)
        #expect(try messages.query(text).all() == inSwift.all())
        let json = try fixture.store.documents(named: "Message")
        // A field that the schema declares takes text for an identifier.
        #expect(try json.query("talk == \"\(talks[1])\" count").answer() == .count(50))
        #expect(
            try json.query("distinct role limit 2").answer()
                == .groups([
                    DocumentGroup(keys: ["assistant"], values: []), DocumentGroup(keys: ["tool"], values: []),
                ]))
        #expect(
            try json.query("group by role: count, max(score) limit 1").answer()
                == .groups([
                    DocumentGroup(
                        keys: ["assistant"],
                        values: [
                            67,
                            try messages.query().filter(\.role == .assistant)
                                .aggregate(.max(\.score)),
                        ])
                ]))
        #expect(try json.query("text starts with \"text 19\" and not (score is null)").count() == 9)
    }

    @Test func queriesInATransactionSeeItsWrites() throws {
        let (fixture, messages, talks) = try filled()
        let snapshot = try fixture.store.snapshot()
        try fixture.store.transaction { transaction in
            let removed = try messages.query(in: transaction).filter(\.talk == talks[0]).delete()
            #expect(removed == 50)
            #expect(try messages.query(in: transaction).count() == 150)
            #expect(try messages.query(in: transaction).filter(\.talk == talks[0]).isEmpty())
            #expect(try messages.query().count() == 200)
        }
        #expect(try messages.query().count() == 150)
        #expect(try messages.query(in: snapshot).filter(\.talk == talks[0]).count() == 50)
        #expect(try fixture.store.verify().isSound)
    }

    @Test func aCoveringIndexIsReadInOnePiece() throws {
        struct Sample: Document, Equatable {
            var id: Int
            var sensor: String
            var time: Int
            static let schema = Schema<Sample>().index(.ascending(\.sensor), .ascending(\.time), isCovering: true)
        }
        let store = try DocumentFixture().store
        let samples: Documents<Sample> = try store.documents()
        try samples.insert((0..<20).map { Sample(id: $0, sensor: "s\($0 % 2)", time: 100 - $0) })
        try samples.update(4) { $0.time = 0 }
        let query = samples.query().filter(\.sensor == "s0").sorted(by: \.time).limit(2)
        #expect(try query.all() == [Sample(id: 4, sensor: "s0", time: 0), Sample(id: 18, sensor: "s0", time: 82)])
        #expect(try query.explain().fetched == 0)
        #expect(try store.verify().isSound)
    }

    @Test func mistakesAreErrorsThatSayWhere() throws {
        let (fixture, messages, _) = try filled()
        for text in [
            "role = ", "role == user", "(role == 1", "limit x", "role == \"a", "order time", "role ~ 2",
            "limit 1 limit 2",
        ] {
            let error = storeError { try messages.query(text) }
            #expect(error?.kind == .invalidQuery, "\(text)")
        }
        let deep = String(repeating: "(", count: 10_000) + "a == 1"
        #expect(storeError { try messages.query(deep) }?.kind == .invalidQuery)
        let snapshot = try fixture.store.snapshot()
        #expect(storeError { try messages.query(in: snapshot).delete() }?.kind == .invalidQuery)
        #expect(storeError { try messages.query().sorted(by: \.text.count).all() }?.kind == .invalidArgument)
    }
}
