"""What the processes of an audit say to each other: one line of JSON for each job and each answer."""

from __future__ import annotations

import json
from array import array
from dataclasses import asdict
from typing import Any

from blockdb.audit.order import KeyRange
from blockdb.audit.stretch import Blocks, Chain, Cut, Pending, Stretch
from blockdb.audit.work import Answer, Job
from blockdb.format.block import HASH_BYTES
from blockdb.ledger.chain import Head
from blockdb.ledger.merkle import Frontier


def encode_job(job: Job) -> str:
    """The line of a job."""
    return json.dumps(asdict(job))


def decode_job(line: str | bytes) -> Job:
    """The job in a line."""
    values = json.loads(line)
    return Cut(**values) if "sequence" in values else KeyRange(**values)


def encode_answer(answer: Answer | None) -> str:
    """The line of an answer; None stands for doubt."""
    if not isinstance(answer, Stretch):
        return json.dumps(answer)
    others = {name: getattr(answer, name) for name in ("sequence", "anchor", "records")}
    return json.dumps(
        {
            "leading": _of_pending(answer.leading),
            "blocks": answer.blocks and _of_blocks(answer.blocks),
            "trailing": _of_pending(answer.trailing),
            "seals": list(answer.seals.items()),
            "watched": list(answer.watched.items()),
            **others,
        }
    )


def decode_answer(line: str | bytes, chain: Chain) -> Answer | None:
    """The answer in a line; it is about `chain`."""
    values = json.loads(line)
    if not isinstance(values, dict):
        return values  # type: ignore[no-any-return]
    read = {
        "leading": _to_pending(values["leading"]),
        "blocks": values["blocks"] and _to_blocks(values["blocks"], chain),
        "trailing": _to_pending(values["trailing"]),
        "seals": dict(values["seals"]),
        "watched": dict(values["watched"]),
    }
    return Stretch(**(values | read))


def _of_pending(pending: Pending) -> list[Any]:
    return [b"".join(pending.leaves).hex(), pending.sizes.tolist(), pending.places.tolist()]


def _to_pending(values: list[Any]) -> Pending:
    leaves, sizes, places = values
    return Pending(_hashes(leaves), array("q", sizes), array("q", places))


def _of_blocks(blocks: Blocks) -> list[Any]:
    head, frontier = blocks.head, blocks.frontier
    return [
        head.next_number,
        head.previous_hash.hex(),
        frontier.size,
        *(b"".join(found).hex() for found in (frontier.hashes, blocks.chunks)),
    ]


def _to_blocks(values: list[Any], chain: Chain) -> Blocks:
    number, previous_hash, size, hashes, chunks = values
    blocks = Blocks(chain, Head(number, bytes.fromhex(previous_hash)), Frontier(size, _hashes(hashes)))
    blocks.chunks = _hashes(chunks)
    return blocks


def _hashes(text: str) -> list[bytes]:
    joined = bytes.fromhex(text)
    return [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]
