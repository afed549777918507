"""A process that helps with an audit: it opens the files itself, and does one job after the other."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from blockdb.audit.doubt import Doubt
from blockdb.audit.files import buffers_of, chain_files, map_file
from blockdb.audit.findings import Findings
from blockdb.audit.messages import decode_job, encode_answer
from blockdb.audit.stretch import Chain
from blockdb.audit.tables import TableAudit
from blockdb.audit.work import Answer, Job, Workbench
from blockdb.format.keyring import DataKeys
from blockdb.format.table import decode_header
from blockdb.layout import CollectionFiles
from blockdb.ledger.signature import key_id_of
from blockdb.process import secret_of_helper


def describe(bench: Workbench, files: CollectionFiles) -> str:
    """What a helper needs to know to set up the same workbench: one line."""
    return json.dumps(
        {
            "root": str(files.root.absolute()),
            "collection": bench.chain.collection.hex(),
            "public_keys": [key.hex() for key in bench.chain.public_keys.values()],
            "segments": len(bench.chain.segments),
            "tables": [table.header.number for table in bench.tables],
            "watched_sequence": bench.watched_sequence,
            "seals": list(bench.seals),
        }
    )


def main(argument: str) -> None:
    """What the process does, which shares the memory with the descriptor `argument` with others.

    The first line of stdin is the description, those after it are jobs, until it ends; stdout takes answers.
    """
    secret = secret_of_helper()
    bench = _set_up(json.loads(sys.stdin.readline()), DataKeys.decode(secret) if secret else None, int(argument))
    for line in sys.stdin:
        sys.stdout.write(encode_answer(_answer(bench, decode_job(line))) + "\n")
        sys.stdout.flush()


def _answer(bench: Workbench, job: Job) -> Answer | None:
    try:
        return bench.do(job, lambda records: None)
    except Doubt:
        return None


def _set_up(values: dict[str, Any], keys: DataKeys | None, memory: int) -> Workbench:
    files = CollectionFiles(Path(values["root"]))
    findings = Findings(files.root)
    segments = chain_files(files, values["segments"], findings, keys)
    buffers = [(files.table(number), map_file(files.table(number), findings, keys)) for number in values["tables"]]
    if findings.problems or segments is None:
        raise SystemExit(1)  # whoever started this process does the work itself, and meets the reason
    tables = [
        TableAudit(path, buffer, decode_header(buffer), findings) for path, buffer in buffers if buffer is not None
    ]
    public_keys = {key_id_of(key): key for key in map(bytes.fromhex, values["public_keys"])}
    chain = Chain(bytes.fromhex(values["collection"]), public_keys, buffers_of(segments), keys)
    return Workbench(chain, tables, values["seals"], values["watched_sequence"], memory)
