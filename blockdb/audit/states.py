"""Auditing the states in a journal: what it says of the other collections has to be what their records come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Final
from uuid import UUID

from blockdb.audit.findings import Findings
from blockdb.audit.history import Trusted, first_unfit
from blockdb.audit.mismatch import Mismatch
from blockdb.audit.seals import Placed, SealAudit
from blockdb.audit.stretch import Whole
from blockdb.format.record import RecordFrame
from blockdb.ledger.keytree import KeyTree
from blockdb.ledger.state import STATE, BadState, CollectionState, decode_event, decode_state

MOST_KEYS: Final = 5_000_000
"""The root over the keys takes some 250 bytes of memory for each: with more keys it is not recomputed."""


@dataclass(frozen=True)
class Audited:
    """A collection in whose chain nothing is wrong."""

    root: Path
    whole: Whole
    end: int | None

    def past(self) -> SealAudit:
        """Its states of the past."""
        known = [Placed(place, self.whole.chain.seal_at(place)) for place in self.whole.seals]
        return SealAudit(self.whole.chain, (), self.end, known)

    def records(self) -> Iterator[RecordFrame]:
        """All of its records, in commit order."""
        return self.past().records()


@dataclass(frozen=True)
class _Claim:
    """What one record of the journal says of a collection."""

    event: int
    state: CollectionState


def check_states(journal: Audited, collections: Mapping[str, Audited], findings: Findings) -> list[str]:
    """Hold every state in the journal against the collections, by UUID. Notes are returned.

    O(states · records in a block), and O(n log n) for the last state of each collection that commits to its keys.
    The journal has to be read before the collections, beside a writer.
    """
    claims: dict[str, list[_Claim]] = {}
    for number, frame in enumerate(journal.records()):
        try:
            event = decode_event(frame.value)
            states = decode_state(event) if event["event"] == STATE else {}
        except BadState as error:
            findings.add(journal.root, str(error), sequence=number, key=frame.key)
            continue
        for uuid, state in states.items():
            claims.setdefault(uuid, []).append(_Claim(number, state))
    notes: list[str] = []
    for uuid, found in claims.items():
        if uuid in collections:
            notes += _check_collection(found, journal, collections[uuid], findings)
    return notes


def _check_collection(claims: list[_Claim], journal: Audited, audited: Audited, findings: Findings) -> list[str]:
    past = audited.past()
    for claim in claims:
        trusted = Trusted(f"event {claim.event} of the journal", "", claim.state.records, claim.state.root)
        unfit = first_unfit(past, [trusted])
        if unfit is not None:
            _tell(findings, journal, claim.event, Mismatch(unfit.what, unfit.expected, unfit.found))
            return []
    last = next((claim for claim in reversed(claims) if claim.state.keys_root is not None), None)
    if last is None or last.state.keys_root is None:
        return []
    if last.state.records > MOST_KEYS:
        return [f"The root over the keys of {last.state.name} was not recomputed: there are too many."]
    keys: list[bytes] = []
    leaves: list[bytes] = []
    for frame in islice(audited.records(), last.state.records):
        keys.append(frame.key)
        leaves.append(sha256(frame.leaf).digest())
    root = KeyTree(keys, leaves).root
    if root != last.state.keys_root:
        what = f"the keys of the first {last.state.records} records of {last.state.name} do not have the root it says"
        _tell(findings, journal, last.event, Mismatch(what, root.hex(), last.state.keys_root.hex()))
    return []


def _tell(findings: Findings, journal: Audited, event: int, wrong: Mismatch) -> None:
    key = b"%020d" % event
    findings.add(journal.root, wrong.what, sequence=event, key=key, expected=wrong.expected, found=wrong.found)


def uuid_of(collection_id: str) -> str:
    """The UUID of a collection, as states have it."""
    return str(UUID(collection_id.removeprefix("col_")))
