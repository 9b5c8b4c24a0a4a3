// Explaining tables: the footer, then every block in the order of the file, entry by entry.  FORMAT.md §4

import ApusIO

extension Dump {
    /// A table: its footer, and each block with what is in it.
    static func table(
        _ number: FileNumber,
        in directory: String,
        on fileSystem: any FileSystem,
        to output: DumpOutput
    ) throws(ApusError) {
        let name = FileName.table(number)
        let walk: TableWalk
        do throws(ApusError) {
            walk = try TableWalk(number, in: directory, on: fileSystem)
        } catch {
            guard error.kind == .unsupportedFormat else { throw error }
            output("\(name.string)")
            return output("damage: \(error.message)")
        }
        output("\(name.string): \(walk.byteCount) bytes")
        if let footer = walk.footer {
            output("@\(walk.byteCount - UInt64(TableFormat.footerByteCount)) footer of table \(footer.number)")
            let parts = [
                ("properties", footer.properties), ("index root", footer.root),
                ("range deletions", footer.rangeDeletions),
            ]
            for (what, handle) in parts where !handle.isNone { output("   \(what): \(describe(handle))") }
        } else if let damage = walk.footerDamage {
            output("@\(damage.offset ?? 0) damage: \(damage.message)")
        }
        while let finding = try walk.next() {
            switch finding {
            case .block(let part): show(part, number, to: output)
            case .damage(let damage):
                output(
                    "@\(damage.offset) damage, \(damage.byteCount) bytes" + place(damage.place) + ": \(damage.what)"
                )
            }
        }
        output("@\(walk.byteCount) end")
    }

    private static func describe(_ handle: BlockHandle) -> String { "\(handle.byteCount) bytes at \(handle.offset)" }

    private static func place(_ place: TableDamage.Place) -> String {
        switch place {
        case .block(let kind): " of a \(kind.name)"
        case .footer: " of the footer"
        case .length: " of a length"
        case .unknown: ""
        }
    }

    // MARK: - Blocks

    private static func show(_ part: TableWalk.Part, _ number: FileNumber, to output: DumpOutput) {
        let bytes = part.block.buffer
        var head = "@\(part.handle.offset) \(part.kind.name), \(part.handle.byteCount) bytes stored"
        if part.codec != .none { head += " with \(part.codec), \(bytes.count) bytes long" }
        do throws(DecodingFailure) {
            switch part.kind {
            case .data:
                output(head + ", \(part.entries.entryCount) entries" + prefix(of: part.entries))
                entries(of: part.entries, to: output)
            case .leaf, .root:
                output(head + ", \(part.entries.entryCount) entries" + prefix(of: part.entries))
                try index(part, to: output)
            case .filter:
                let lines: UInt32 = bytes.littleEndian(at: 0)
                let probes: UInt32 = bytes.littleEndian(at: 4)
                output(head + ", \(lines) lines, \(probes) probes")
            case .rangeDeletions:
                output(head)
                for deletion in try RangeDeletion.decodeAll(bytes) {
                    output(
                        "   \(DumpText.quoted(deletion.start)) up to \(DumpText.quoted(deletion.end)), sequence"
                            + " \(deletion.sequence.rawValue)"
                    )
                }
            case .properties:
                output(head)
                properties(try TableProperties.decode(bytes, number: number), to: output)
            }
        } catch {
            output("   damage: \(error.what)")
        }
    }

    private static func prefix(of block: Block) -> String {
        block.prefixCount == 0 ? "" : ", all keys begin with \(DumpText.quoted(block.prefix))"
    }

    private static func entries(of block: Block, to output: DumpOutput) {
        var next = block.entriesStart
        for rank in 0..<block.entryCount {
            let entry = block.entry(at: next)
            next = entry.end
            guard let kind = entry.trailer.kind else { continue }
            output(
                "   \(entry.trailer.sequence.rawValue) \(kind): \(DumpText.quoted(block.key(of: entry, rank: rank)))"
                    + " \(DumpText.payload(kind, entry.payload))"
            )
        }
    }

    private static func index(_ part: TableWalk.Part, to output: DumpOutput) throws(DecodingFailure) {
        let block = part.entries
        var next = block.entriesStart
        for rank in 0..<block.entryCount {
            let entry = block.entry(at: next)
            next = entry.end
            var text = "   up to \(DumpText.quoted(block.key(of: entry, rank: rank)))"
            if entry.trailer != .last { text += " sequence \(entry.trailer.sequence.rawValue)" }
            if part.kind == .leaf {
                text += ": \(describe(try BlockHandle(leafPayload: entry.payload)))"
            } else {
                let partition = try IndexPartition(decoding: entry.payload)
                text += ": leaf of \(describe(partition.leaf))"
                if !partition.filter.isNone { text += ", filter of \(describe(partition.filter))" }
                text += ", \(partition.blockCount) data blocks from number \(partition.firstBlock)"
            }
            output(text)
        }
    }

    private static func properties(_ properties: TableProperties, to output: DumpOutput) {
        if properties.keyspace > 0 { output("   keyspace \(properties.keyspace)") }
        output("   \(properties.dataBlockCount) data blocks in \(properties.partitionCount) partitions")
        output("   \(contents(of: properties.metadata))")
    }
}
