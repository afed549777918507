"""Auditing the states in a journal: what it says of the other collections has to be what their records come to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from blockdb.audit.findings import Findings
from blockdb.audit.history import Trusted, first_unfit
from blockdb.audit.mismatch import Mismatch
from blockdb.audit.seals import Placed, SealAudit
from blockdb.audit.stretch import Whole
from blockdb.format.record import RecordFrame
from blockdb.format.walk import DamagedChain
from blockdb.layout import CollectionFiles
from blockdb.ledger.keytree import KeyTree
from blockdb.ledger.state import CREATED, DROPPED, STATE, BadState, CollectionState, decode_event, decode_state

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
        try:
            yield from self.past().records()
        except DamagedChain:
            if self.end is not None:
                raise
            # nothing is wrong with the chain, so this is what a power cut left of a write that nobody was told of


@dataclass(frozen=True)
class _Claim:
    """What one record of the journal says of a collection."""

    event: int
    state: CollectionState


@dataclass(frozen=True)
class _Told:
    """What the journal tells of a collection."""

    claims: list[_Claim] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    """What it was called, with the newest last."""
    dropped: list[_Claim] = field(default_factory=list)
    """That it was dropped, and what it held then."""


def check_states(
    journal: Audited, collections: Mapping[str, Audited], present: Container[str], findings: Findings
) -> list[str]:
    """Hold everything in the journal against the collections, by UUID: states, and which there should be.

    `present` are all that the registry names. Notes are returned.

    O(states · records in a block), and O(n log n) for the last state of each collection that commits to its keys.
    The journal has to be read before the collections, beside a writer.
    """
    told: defaultdict[str, _Told] = defaultdict(_Told)
    for number, frame in enumerate(journal.records()):
        try:
            _take(told, number, decode_event(frame.value))
        except BadState as error:
            findings.add(journal.root, str(error), sequence=number, key=frame.key)
    notes: list[str] = []
    for uuid, found in told.items():
        if uuid in collections and found.claims:
            notes += _check_collection(found.claims, journal, collections[uuid], findings)
        _check_presence(uuid, found, uuid in present, journal, findings)
    return notes


def _take(told: defaultdict[str, _Told], number: int, event: Mapping[str, Any]) -> None:
    """Note what an event tells. Raises BadState."""
    if event["event"] == STATE:
        for uuid, state in decode_state(event).items():
            told[uuid].claims.append(_Claim(number, state))
            told[uuid].name.append(state.name)
    elif event["event"] in (CREATED, DROPPED):
        try:
            about = told[uuid_of(event["collection"])]
            about.name.append(str(event["name"]))
            if event["event"] == DROPPED:
                state = CollectionState(about.name[-1], int(event["records"]), bytes.fromhex(event["root"]))
                about.dropped.append(_Claim(number, state))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadState(f"the event is malformed: {error!r}") from None


def _check_presence(uuid: str, told: _Told, is_present: bool, journal: Audited, findings: Findings) -> None:
    """A collection goes by being dropped, and in no other way; it held no less then than it did before."""
    if told.dropped and is_present and not _is_pending(journal, uuid):
        what = f"it tells that the collection {told.name[-1]} ({uuid}) was dropped, and the registry has it"
        findings.add(journal.root, what, sequence=told.dropped[-1].event)
    if not told.dropped and not is_present:
        what = f"the collection {told.name[-1]} ({uuid}) is gone, and the journal does not tell that it was dropped"
        findings.add(journal.root.parent.parent, what)
    for end in told.dropped:
        for claim in told.claims:
            is_same = claim.state.root == end.state.root or claim.state.records != end.state.records
            if claim.event > end.event or claim.state.records > end.state.records or not is_same:
                what = (
                    f"what it says of the collection {told.name[-1]} ({uuid}) is not what it held when it was dropped"
                )
                findings.add(journal.root, what, sequence=claim.event)
                break


def _is_pending(journal: Audited, uuid: str) -> bool:
    """Whether a collection is being dropped at this moment, or will be by the next writer."""
    return CollectionFiles(journal.root.parent.with_name(f"col_{uuid}")).pending.exists()


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
