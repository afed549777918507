"""A process that helps with an audit: it opens the files itself, and does one job after the other."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from blockdb.audit.doubt import Doubt
from blockdb.audit.files import map_file, map_segment
from blockdb.audit.findings import Findings
from blockdb.audit.messages import decode_job, encode_answer
from blockdb.audit.stretch import Chain
from blockdb.audit.tables import TableAudit
from blockdb.audit.work import Answer, Job, Workbench
from blockdb.format.table import decode_header
from blockdb.layout import CollectionFiles
from blockdb.ledger.signature import key_id_of


def describe(bench: Workbench, files: CollectionFiles, memory: int) -> str:
    """What a helper needs to know to set up the same workbench; it has to inherit the descriptor `memory`."""
    return json.dumps(
        {
            "root": str(files.root.absolute()),
            "collection": bench.chain.collection.hex(),
            "public_keys": [key.hex() for key in bench.chain.public_keys.values()],
            "segments": len(bench.chain.segments),
            "tables": [table.header.number for table in bench.tables],
            "watched_sequence": bench.watched_sequence,
            "memory": memory,
        }
    )


def main(argument: str) -> None:
    """What the process does: `argument` is the description, stdin brings jobs until it ends, stdout takes answers."""
    bench = _set_up(json.loads(argument))
    for line in sys.stdin:
        sys.stdout.write(encode_answer(_answer(bench, decode_job(line))) + "\n")
        sys.stdout.flush()


def _answer(bench: Workbench, job: Job) -> Answer | None:
    try:
        return bench.do(job, lambda records: None)
    except Doubt:
        return None


def _set_up(values: dict[str, Any]) -> Workbench:
    files = CollectionFiles(Path(values["root"]))
    findings = Findings(files.root)
    mapped = [map_segment(files, number, findings) for number in range(values["segments"])]
    buffers = [(files.table(number), map_file(files.table(number), findings)) for number in values["tables"]]
    if findings.problems:
        raise SystemExit(1)  # whoever started this process does the work itself, and meets the reason
    tables = [
        TableAudit(path, buffer, decode_header(buffer), findings) for path, buffer in buffers if buffer is not None
    ]
    public_keys = {key_id_of(key): key for key in map(bytes.fromhex, values["public_keys"])}
    segments = [found[1] for found in mapped if found is not None]
    chain = Chain(bytes.fromhex(values["collection"]), public_keys, segments)
    return Workbench(chain, tables, values["watched_sequence"], values["memory"])
