"""What a forger may do to a database, from a flipped bit to a history that is wrong from end to end and signed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from os import urandom

from blockdb.database.database import Database
from blockdb.database.proofs.journal import JOURNAL_COLLECTION
from blockdb.database.repairing.rebuilding import rebuild_tables
from blockdb.errors import InvalidData
from blockdb.format import record
from blockdb.format.frame import with_check
from blockdb.format.place import place_of
from blockdb.ledger.signature import SEED_BYTES, Signer
from blockdb.storage.door import Door
from blockdb.storage.metadata import load_metadata
from blockdb.tampering.forger import Forger, Target
from blockdb.types import Problem

FEWEST_BLOCKS = 2
"""A history that can be rolled back to a block has one more."""
SEARCHED_RECORDS = 100_000
"""So many records are looked at for one that can be changed."""
REWRITTEN_BLOCKS = 3
"""So many blocks at the end of a fork are another history."""
PORTION_RECORDS = 1_000
FORGED_KEY = b"forged:entry"
FORGED_VALUE = b"nobody wrote this"


@dataclass(frozen=True)
class Site:
    """The database to be tampered with.

    Tampering with a single record is done to the `chosen` one, by its sequence number, or to one in the middle block.
    """

    forger: Forger
    records: int
    blocks: int
    open_database: Callable[[], Database]
    """Opens it for writing."""
    chosen: int | None = None


@dataclass(frozen=True)
class Tampering:
    """One way to tamper. `apply` does it to the files, and returns what is no longer as it was written."""

    name: str
    title: str
    does: str
    """In a sentence."""
    apply: Callable[[Site], tuple[Problem, ...]]


def _candidates(site: Site) -> Iterator[Target]:
    """The records from the chosen one on, or from the middle of the history on."""
    forger, chosen = site.forger, site.chosen
    if chosen is None:
        return islice(forger.records_of(forger.seal(site.blocks // 2)), SEARCHED_RECORDS)
    for _, seal in forger.seals():
        if chosen < seal.header.first_sequence + seal.header.records:
            return islice(forger.records_of(seal), chosen - seal.header.first_sequence, None)
    raise InvalidData("The record is in the open block, which is not sealed yet: choose an older one.")


def _victim(site: Site) -> Target:
    """A sealed record that has a value."""
    for target in _candidates(site):
        if target.record.value:
            return target
        if site.chosen is not None:
            raise InvalidData("The value of the record is empty: there is nothing in it to change.")
    raise InvalidData("The middle of the history has no record with a value: there is nothing to change.")


def _change(site: Site, target: Target, what: str) -> Problem:
    """What is said of a record; to be asked before the chain is damaged."""
    seals = (seal.header for _, seal in site.forger.seals())
    ends_after = (header.number for header in seals if target.sequence < header.first_sequence + header.records)
    path = site.forger.files.segment(target.span.number).relative_to(site.forger.path).as_posix()
    return Problem(path, target.span.at, next(ends_after, None), target.sequence, target.record.key, what)


# ── single records ───────────────────────────────────────────────────────────────────────────────────────────────


def _flip_byte(site: Site) -> tuple[Problem, ...]:
    target = _victim(site)
    offset = target.span.end - len(target.record.value)
    old = target.record.value[0]
    change = _change(site, target, f"the first byte of the value: {old:#04x} became {old ^ 1:#04x}")
    site.forger.patch(target.span.number, offset, bytes([old ^ 1]))
    return (replace(change, offset=offset),)


def _edit_value(site: Site) -> tuple[Problem, ...]:
    target = _victim(site)
    frame, value = target.record, target.record.value
    edited = value[:-1] + bytes([value[-1] ^ 1])
    if frame.kind == record.PLAIN:
        body = record.encode(frame.time_ms, frame.key, edited)
    else:
        start = len(frame.body) - len(value) - record.SALT_BYTES
        body = record.encode_redactable(frame.time_ms, frame.key, edited, frame.body[start : start + record.SALT_BYTES])
    change = _change(site, target, "the value was edited, and the check of its record made to match")
    site.forger.put_body(target, body)
    return (change,)


def _swap_records(site: Site) -> tuple[Problem, ...]:
    forger = site.forger
    records = _candidates(site)
    for first, second in pairwise(records if site.chosen is None else islice(records, 2)):
        if first.span.end == second.span.at and first.record.body != second.record.body:
            break
    else:
        where = "The middle of the history" if site.chosen is None else "The place of the record"
        raise InvalidData(f"{where} has no two records side by side: there is nothing to swap.")
    changes = (
        _change(site, first, f"it stands where record {second.sequence} was"),
        _change(site, second, f"it stands where record {first.sequence} was"),
    )
    one, other = with_check(first.record.body), with_check(second.record.body)
    forger.patch(first.span.number, first.span.at, other + one)
    return changes


def _insert_record(site: Site) -> tuple[Problem, ...]:
    target = _victim(site)
    change = _change(site, target, f"a record was put before that of key {target.record.key!r}")
    site.forger.insert(target, FORGED_KEY, FORGED_VALUE)
    return (replace(change, key=FORGED_KEY),)


def _delete_record(site: Site) -> tuple[Problem, ...]:
    target = _victim(site)
    change = _change(site, target, "the record was taken out, and what follows moved up")
    site.forger.remove(target)
    return (change,)


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _cut_tail(site: Site) -> tuple[Problem, ...]:
    last = site.forger.seal(site.blocks - 1)
    [target] = islice(site.forger.records_of(last), last.header.records // 2, last.header.records // 2 + 1)
    change = _change(site, target, "the chain ends here")
    gone = site.forger.cut(place_of(target.span.number, target.span.at))
    return (replace(change, what=f"{gone} bytes were cut off"),)


def _roll_back_to(site: Site, blocks: int) -> Problem:
    """Make it the database that it was when so many blocks were sealed; all files are as they would be."""
    forger = site.forger
    forger.end_with(blocks)
    _derive_anew(forger)
    header = forger.seal(blocks - 1).header
    records = header.first_sequence + header.records
    gone = f"the history ends here: {site.records - records} records are gone"
    return Problem(_relative(forger), None, blocks, records, None, gone)


def _relative(forger: Forger) -> str:
    """The directory of the chain files, as a report names it."""
    return forger.files.chain.relative_to(forger.path).as_posix()


def _derive_anew(forger: Forger) -> None:
    """Make all files anew that follow from the chain."""
    for path in (*forger.files.tables.iterdir(), forger.files.manifest):
        path.unlink()
    _silence(forger)
    door = Door()
    rebuild_tables(door, forger.files, load_metadata(door, forger.files.metadata), forger.end_here())


def _silence(forger: Forger) -> None:
    """Remove what tells of another history and is made anew where it is missing: nodes, checkpoint, the journal."""
    for path in (forger.files.nodes, forger.files.checkpoint):
        path.unlink(missing_ok=True)
    names: dict[str, str] = {}
    forger.change_toml(forger.database.registry, lambda values: names.update(values["collections"]))
    if (journal := names.pop(JOURNAL_COLLECTION, None)) is not None:
        forger.change_toml(forger.database.registry, lambda values: values.update(collections=names))
        shutil.rmtree(forger.database.collection(journal).root)


def _roll_back(site: Site) -> tuple[Problem, ...]:
    return (_roll_back_to(site, max(1, site.blocks * 2 // 3)),)


def _fork(site: Site) -> tuple[Problem, ...]:
    """Write the end of the history again, in the database's own way, with one value changed."""
    kept = max(1, site.blocks - REWRITTEN_BLOCKS)
    items = [_item(body) for body in site.forger.bodies(site.forger.seal(kept).first_place)]
    change = _roll_back_to(site, kept)
    key, value = items[0]
    items[0] = (key, value[:-1] + bytes([value[-1] ^ 1]) if value else FORGED_VALUE)
    with site.open_database() as database:
        for at in range(0, len(items), PORTION_RECORDS):
            database.put_many(items[at : at + PORTION_RECORDS])
    what = f"from here on another history was written: {len(items)} records, the first with another value"
    return (replace(change, key=key, what=what),)


def _item(body: bytes) -> tuple[bytes, bytes]:
    frame = record.decode(with_check(body), 0)
    return frame.key, frame.value


# ── the whole history ────────────────────────────────────────────────────────────────────────────────────────────


def _rechain(choose: Callable[[Forger], Signer], words: str) -> Callable[[Site], tuple[Problem, ...]]:
    def apply(site: Site) -> tuple[Problem, ...]:
        [edited] = _edit_value(site)
        first = site.blocks // 2 if edited.block is None else edited.block
        site.forger.rechain(first, choose(site.forger))
        _silence(site.forger)
        what = f"every block from {first} to {site.blocks - 1} was made anew, {words}"
        return edited, Problem(_relative(site.forger), None, first, None, None, what)

    return apply


TAMPERINGS: tuple[Tampering, ...] = (
    Tampering("flip-byte", "Flip a byte", "One bit of a stored value is turned round on the disk.", _flip_byte),
    Tampering(
        "edit-value",
        "Edit a value",
        "A value is replaced by one of the same size, and the check of its record made to match.",
        _edit_value,
    ),
    Tampering("swap-records", "Swap two records", "Two records, whole and intact, change places.", _swap_records),
    Tampering(
        "insert-record",
        "Insert a record",
        "A record that nobody wrote is put into the past, and the file's new size told to the mark.",
        _insert_record,
    ),
    Tampering(
        "delete-record",
        "Delete a record",
        "A record is taken out of the past, and the file's new size told to the mark.",
        _delete_record,
    ),
    Tampering("cut-tail", "Cut the tail", "The chain is cut off in the middle of its last block.", _cut_tail),
    Tampering(
        "rechain-wrong-key",
        "Re-chain, wrong key",
        "A value is edited, every hash from there on recomputed and signed with a key of the forger's, and the journal "
        "removed.",
        _rechain(lambda _: Signer(urandom(SEED_BYTES)), "signed with a key that is not listed"),
    ),
    Tampering(
        "rechain-listed-key",
        "Re-chain, own key listed",
        "The same, and the forger's key is listed in the database as if it had been rotated.",
        _rechain(lambda forger: forger.put_key(urandom(SEED_BYTES)), "signed with a key that was added to the list"),
    ),
    Tampering(
        "rechain-stolen-key",
        "Re-chain, stolen key",
        "The same with the database's own key: every hash, link and signature holds.",
        _rechain(lambda forger: forger.signer(), "signed with the database's own key"),
    ),
    Tampering(
        "roll-back",
        "Roll back",
        "Last week's copy is put back: a history that was true, with nothing after it.",
        _roll_back,
    ),
    Tampering(
        "fork",
        "Fork",
        "The last blocks are written again with another value, through the engine and with its own key.",
        _fork,
    ),
)
"""All of them, from the plainest to those that leave no trace in the files."""
