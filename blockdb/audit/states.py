"""Auditing the journal's meaning: the states that it tells of are held against the collections' chains.

A state says how many records a collection had, under which root, and sometimes under which root over its keys. Whoever
rewrites, cuts or rolls back a collection alone leaves states that do not fit, as does whoever states what is not so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from blockdb.audit.files import map_segment
from blockdb.audit.findings import Findings
from blockdb.audit.history import root_at
from blockdb.audit.seals import Placed, SealAudit
from blockdb.audit.stretch import Whole
from blockdb.format import segment
from blockdb.format.record import RecordFrame, key_of, leaf_of
from blockdb.format.walk import DamagedChain, bodies, walk
from blockdb.layout import CollectionFiles, segment_numbers
from blockdb.ledger.keytree import KeyTree
from blockdb.ledger.state import STATE, BadState, CollectionState, decode_event, decode_state


class Stated(NamedTuple):
    """What the journal says of a collection: in which of its records, and where that stands."""

    event: int
    files: CollectionFiles
    segment: int
    offset: int
    state: CollectionState


def states_in(journal: CollectionFiles, findings: Findings) -> Mapping[str, Sequence[Stated]]:
    """The states in a journal, by the UUID of their collection. What is no event is named; damage is elsewhere."""
    found: dict[str, list[Stated]] = defaultdict(list)
    aside, event = Findings(findings.root), 0
    names = [path.name for path in journal.chain.iterdir()] if journal.chain.is_dir() else []
    for number in segment_numbers(names):
        mapped = map_segment(journal, number, aside)
        try:
            for offset, _, frame in walk(mapped[1], segment.HEADER_BYTES, len(mapped[1])) if mapped else ():
                if isinstance(frame, RecordFrame):
                    for uuid, state in _states(frame, journal, number, offset, findings).items():
                        found[uuid].append(Stated(event, journal, number, offset, state))
                    event += 1
        except DamagedChain:
            break
    return found


def _states(
    frame: RecordFrame, journal: CollectionFiles, number: int, offset: int, findings: Findings
) -> Mapping[str, CollectionState]:
    try:
        event = decode_event(frame.value)
        return decode_state(event) if event["event"] == STATE else {}
    except BadState as error:
        findings.add(journal.segment(number), str(error), offset=offset, key=frame.key)
        return {}


def check_states(whole: Whole, end: int | None, states: Sequence[Stated], findings: Findings) -> None:
    """Hold states against a chain in which nothing is wrong.

    O(records in a block) for each; the keys of the last state that commits to them, O(n log n).
    """
    sizes, places = list(whole.seals.values()), list(whole.seals)
    roots: dict[int, bytes | None] = {}
    for stated in states:
        size = stated.state.records
        if size not in roots:
            at = min(bisect_left(sizes, size), len(places) - 1)
            known = [Placed(places[at], whole.chain.seal_at(places[at]))] if places else []
            roots[size] = root_at(SealAudit(whole.chain, (), end, known), size)
        root = roots[size]
        if root != stated.state.root:
            found = f"{whole.records} records" if root is None else f"root {root.hex()}"
            _add(findings, stated, "root", found, stated.state.root)
    with_keys = [stated for stated in states if stated.state.keys_root is not None]
    if with_keys and roots[with_keys[-1].state.records] is not None:
        _check_keys(whole, with_keys[-1], findings)


def _check_keys(whole: Whole, stated: Stated, findings: Findings) -> None:
    expected, records = stated.state.keys_root, _bodies(whole, stated.state.records)
    leaves = [sha256(leaf_of(body)).digest() for body in records]
    root = KeyTree(list(map(key_of, records)), leaves).root
    if expected is not None and root != expected:
        _add(findings, stated, "root over the keys", f"root over the keys {root.hex()}", expected)


def _bodies(whole: Whole, count: int) -> list[bytes]:
    found: list[bytes] = []
    for buffer in whole.chain.segments:
        found += bodies(buffer, segment.HEADER_BYTES, len(buffer), count - len(found))[0]
    return found


def _add(findings: Findings, stated: Stated, what: str, found: str, expected: bytes) -> None:
    name = stated.state.name
    findings.add(
        stated.files.segment(stated.segment),
        f"the journal says of {stated.state.records} records of {name!r} what is not so of the collection's {what}: "
        "one of the two was rewritten, cut or rolled back",
        offset=stated.offset,
        sequence=stated.event,
        expected=f"{what} {expected.hex()}",
        found=found,
    )
