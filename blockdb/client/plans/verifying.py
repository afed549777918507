"""Plans that believe nothing: what is read has to be proven, by a history that extends all that was seen of it.

They take the place of `CollectionPlans` and `DatabasePlans`. Checked is with the code of the ledger alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from blockdb.client.plans.advancing import Advancing, foreign
from blockdb.client.plans.database import DatabasePlans
from blockdb.client.plans.documents import LARGEST_PAGE, DetailsOf
from blockdb.client.plans.plan import Ask, Pages, Plan
from blockdb.client.plans.proofs import CollectionPlans
from blockdb.client.trust import Trust
from blockdb.documents.document import Details, Document
from blockdb.documents.values import parse
from blockdb.errors import BlockDBError, HistoryConflict, InvalidData, InvalidProof, KeyNotFound, Redacted
from blockdb.format.checks import check_bounds, check_counts
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.note import BadNote
from blockdb.ledger.proof import BadProof
from blockdb.ledger.range_receipt import JOURNAL, RangeReceipt, origin_of
from blockdb.ledger.receipt import Receipt, RunReceipt
from blockdb.ledger.receipt_parts import Body, Verified, opened
from blockdb.ledger.state import CollectionState
from blockdb.types import REDACTED, AsOf, Record
from blockdb.wire.messages import records

__all__ = ["VerifyingDatabasePlans", "VerifyingPlans"]

R = TypeVar("R", Receipt, RunReceipt)
Items = list[tuple[bytes, bytes]]

CONTRADICTIONS: Final = 3
"""A key may be stored between two answers; not again and again."""


class VerifyingDatabasePlans(DatabasePlans):
    """Plans about the database as a whole whose checkpoints have to extend those that were seen."""

    def __init__(self, trust: Trust) -> None:
        self._advancing = Advancing(trust)

    def checkpoint(self, collection: str | None) -> Plan[str]:
        """A signed checkpoint, which was checked."""
        trust = self._advancing.trust
        if collection is not None:
            info = yield from self.find_collection(collection)
            return (yield from VerifyingPlans(info.id, trust).checkpoint())
        origin = trust.database + JOURNAL
        before = trust.seen(origin)
        note = yield from super().checkpoint(None)
        yield from self._advancing.advance(note, origin, None, before)
        return note


class VerifyingPlans(CollectionPlans):
    """Plans about one collection that check what they read.

    Checked are `get`, `exists`, `record`, `document`, `records`, `scan` and `keys`, what `find` gives (though not that
    it is all), and everything about proofs.
    """

    def __init__(self, collection: str, trust: Trust) -> None:
        super().__init__(collection)
        self._trust = trust
        self._advancing = Advancing(trust)

    @property
    def origin(self) -> str:
        """Whose tree it is."""
        return origin_of(self._trust.database, self.collection.removeprefix("col_"))

    @property
    def proven_records(self) -> int | None:
        """How many records the newest checkpoint has that was proven to extend all that were seen before."""
        seen = self._trust.seen(self.origin)
        return None if seen is None else seen.size

    # Proofs, which everything else stands on.

    def prove(self, key: bytes) -> Plan[Receipt]:
        """The receipt for a record, which was checked."""
        before = self._trust.seen(self.origin)
        receipt = yield from super().prove(key)
        if receipt.key != key:
            raise InvalidProof(f"The server gave a receipt for the key {receipt.key!r}, where {key!r} was asked for.")
        return (yield from self._accepted(receipt, before))

    def prove_run(self, first: int, count: int) -> Plan[RunReceipt]:
        """The receipt for records that stand one after the other, which was checked."""
        before = self._trust.seen(self.origin)
        receipt = yield from super().prove_run(first, count)
        if (receipt.index, len(receipt.bodies)) != (first, count):
            raise InvalidProof("The server gave a receipt for other records than were asked for.")
        return (yield from self._accepted(receipt, before))

    def prove_range(self, prefix: bytes | None, start: bytes | None, end: bytes | None) -> Plan[RangeReceipt]:
        """The receipt for all records of a range, which was checked."""
        check_bounds(prefix, start, end)
        start, end = _bounds(prefix, start, end)
        before = self._seen_both()
        receipt = yield from super().prove_range(None, start, end)
        yield from self._accept_range(receipt, start, end, before)
        return receipt

    def prove_absent(self, key: bytes) -> Plan[RangeReceipt]:
        """The receipt for a key that is not stored, which was checked."""
        before = self._seen_both()
        receipt = yield from super().prove_absent(key)
        yield from self._accept_range(receipt, key, key + b"\0", before)
        if receipt.bodies:
            raise InvalidProof(f"The server proves that the key {key!r} is stored, where it says that it is not.")
        return receipt

    def checkpoint(self) -> Plan[str]:
        """A signed checkpoint, which was checked."""
        before = self._trust.seen(self.origin)
        note = yield from super().checkpoint()
        yield from self._advancing.advance(note, self.origin, self.collection, before)
        return note

    def _accepted(self, receipt: R, before: Checkpoint | None) -> Plan[R]:
        yield from self._advancing.advance(receipt.note, self.origin, self.collection, before)
        _checked(receipt, self._trust)
        return receipt

    def _seen_both(self) -> tuple[Checkpoint | None, Checkpoint | None]:
        """The checkpoints of the journal and of the collection that were seen."""
        return self._trust.seen(self._trust.database + JOURNAL), self._trust.seen(self.origin)

    def _accept_range(
        self,
        receipt: RangeReceipt,
        start: bytes | None,
        end: bytes | None,
        before: tuple[Checkpoint | None, Checkpoint | None],
    ) -> Plan[None]:
        if (receipt.start, receipt.end) != (start, end):
            raise InvalidProof("The server gave a receipt for another range than was asked for.")
        yield from self._advancing.advance(receipt.note, self._trust.database + JOURNAL, None, before[0])
        verified = _checked(receipt, self._trust)
        if verified.origin != self.origin:
            raise foreign(verified.origin, self.origin)
        state = _state(receipt, self._trust)
        if before[1] is not None and state.records < before[1].size:
            raise HistoryConflict(
                f"The server shows the keys of {self.origin} as they were at {state.records} records, of which "
                f"{before[1].size} were seen: something old is played again.",
                before[1].size,
            )
        yield from self._advancing.extend(self.origin, self.collection, state.records, state.root)

    # Reading in key order.

    def _proven(self, key: bytes) -> Plan[Receipt | None]:
        """The receipt of a record; None where it is proven that there is none."""
        for _ in range(CONTRADICTIONS):
            try:
                return (yield from self.prove(key))
            except KeyNotFound:
                pass
            try:
                yield from self.prove_absent(key)
            except InvalidProof:
                raise
            except InvalidData:  # it was stored in between
                continue
            return None
        raise InvalidProof(f"The server says that the key {key!r} is not stored, and that it is.")

    def get(self, key: bytes, as_of: AsOf | None) -> Plan[bytes | None]:
        """The value of a key, which was proven, or of which it was proven that there is none."""
        receipt = yield from self._proven(key)
        if receipt is None or (as_of is not None and not _was_there(receipt, as_of)):
            return None
        if receipt.value is REDACTED:
            raise Redacted(key)
        return receipt.value

    def exists(self, key: bytes) -> Plan[bool]:
        """Whether a key is stored, which was proven."""
        return (yield from self._proven(key)) is not None

    def record(self, key: bytes) -> Plan[Record | None]:
        """A record; its block is what the server says."""
        receipt = yield from self._proven(key)
        if receipt is None:
            return None
        told = yield from super().record(key)
        return _record(receipt.index, receipt.body, None if told is None else told.block)

    def scan(
        self,
        prefix: bytes | None,
        start: bytes | None,
        end: bytes | None,
        limit: int | None,
        offset: int,
        reverse: bool,
        as_of: AsOf | None,
        keys_only: bool = False,
    ) -> Pages[tuple[bytes, bytes]]:
        """Keys and values, each page proven to be all that there is there at the time it is fetched."""
        check_bounds(prefix, start, end)
        check_counts(limit, offset)
        if as_of is not None:
            raise _no_past()
        low, high = _bounds(prefix, start, end)

        def fetch(cursor: str | None, most: int) -> Plan[tuple[Items, str | None]]:
            behind = None if cursor is None else bytes.fromhex(cursor)
            first = behind + b"\0" if behind is not None and not reverse else low
            stop = behind if behind is not None and reverse else high
            if stop is not None and (first or b"") >= stop:
                return [], None
            return (yield from self._proven_page(first, stop, most, reverse))

        return Pages(fetch, None if limit is None else limit + offset, skip=offset)

    def _proven_page(
        self, first: bytes | None, stop: bytes | None, most: int, reverse: bool
    ) -> Plan[tuple[Items, str | None]]:
        """What there is from one end of a range on; the server's word is taken for how far a page goes, no more."""
        wanted = records.Scan(
            collection=self.collection, start=first, end=stop, limit=most, reverse=reverse, keys_only=True
        )
        page = yield Ask("scan", wanted)
        keys = [item.key for item in page.items]
        if page.cursor is not None and keys:
            first, stop = (keys[-1], stop) if reverse else (first, keys[-1] + b"\0")
        receipt = yield from self.prove_range(None, first, stop)
        items = [(body.frame.key, body.frame.value) for body in receipt.bodies]
        invented = set(keys) - {key for key, _ in items}
        if invented:
            raise InvalidProof(f"The server lists the key {min(invented)!r}, and cannot prove that it is stored.")
        if reverse:
            items.reverse()
        is_more = page.cursor is not None or len(items) > most
        items = items[:most]
        return items, items[-1][0].hex() if is_more and items else None

    # Reading in commit order.

    def records(self, first: int, limit: int | None) -> Pages[Record]:
        """Records in commit order, each page proven; their blocks are what the server says."""
        told = super().records(first, limit)

        def fetch(cursor: str | None, most: int) -> Plan[tuple[list[Record], str | None]]:
            at = first if cursor is None else int(cursor)
            found, following = yield from told.fetch(cursor, most)
            seen = self._trust.seen(self.origin)
            if not found:
                if seen is not None and at < seen.size:
                    raise HistoryConflict(
                        f"The server has no record {at} any more, and {seen.size} were seen.", seen.size
                    )
                return [], None
            receipt = yield from self.prove_run(at, len(found))
            return [
                _record(at + number, body, record.block)
                for number, (body, record) in enumerate(zip(receipt.bodies, found, strict=True))
            ], following

        return Pages(fetch, limit)

    # Documents.

    def document(self, key: bytes) -> Plan[Document | None]:
        """The document of a key; the version of its schema is what the server says."""
        receipt = yield from self._proven(key)
        value = None if receipt is None or receipt.value is REDACTED else _document_in(receipt.value)
        if receipt is None or value is None:
            return None
        version = yield from self.schema_version(receipt.index)
        return Document(key, value, Details(receipt.index, receipt.body.frame.time_ms, version))

    def find(
        self,
        where: str,
        parameters: Mapping[str, Any] | None,
        order: str,
        limit: int | None,
        offset: int,
        after: str | None,
        fields: str | Iterable[str] | None,
        as_of: AsOf | None,
        details_of: DetailsOf | None,
    ) -> Pages[Document]:
        """The documents of a query: each is proven to be stored as it is; that there is no other is not."""
        told = super().find(where, parameters, order, limit, offset, after, fields, as_of, details_of)
        project = _projection(fields)

        def fetch(cursor: str | None, most: int) -> Plan[tuple[list[Document], str | None]]:
            found, following = yield from told.fetch(cursor, most)
            for document in found:
                receipt = yield from self.prove(document.key)
                value = _document_in(receipt.value)
                if value is None or project(value) != document.value:
                    raise InvalidProof(f"The document of key {document.key!r} is not what the server can prove.")
            return found, following

        return Pages(fetch, limit, after, largest=LARGEST_PAGE)


# ── what is looked at ────────────────────────────────────────────────────────────────────────────────────────────


def _checked(receipt: Receipt | RunReceipt | RangeReceipt, trust: Trust) -> Verified:
    try:
        return receipt.check(trust.keys)
    except (BadProof, BadNote) as error:
        raise InvalidProof(f"The server cannot prove what it says: {error}.") from None


def _state(receipt: RangeReceipt, trust: Trust) -> CollectionState:
    """The state of the collection at which a receipt shows its keys; the receipt was checked."""
    return receipt.proof.state(opened(receipt.note, trust.keys))


def _record(sequence: int, body: Body, block: int | None) -> Record:
    frame = body.frame
    return Record(sequence, frame.key, frame.value, frame.time_ms, block, frame.value is REDACTED)


def _was_there(receipt: Receipt, as_of: AsOf) -> bool:
    if as_of.sequence is not None:
        return receipt.index <= as_of.sequence
    if as_of.time_ms is not None:
        return receipt.body.frame.time_ms <= as_of.time_ms
    raise _no_past()


def _no_past() -> InvalidData:
    return InvalidData("as_of: this cannot be proven of the past. Ask without it, or connect without verified=True.")


def _bounds(prefix: bytes | None, start: bytes | None, end: bytes | None) -> tuple[bytes | None, bytes | None]:
    """The range as its two ends; None: none on that side."""
    first = max(prefix or b"", start or b"")
    stop = _behind(prefix) if prefix else None
    if stop is None or (end is not None and end < stop):
        stop = end
    return first or None, stop


def _behind(prefix: bytes) -> bytes | None:
    """The first key behind all with a prefix; None where there is none."""
    cut = prefix.rstrip(b"\xff")
    return cut[:-1] + bytes([cut[-1] + 1]) if cut else None


def _document_in(value: bytes) -> dict[str, Any] | None:
    try:
        return parse(value)
    except BlockDBError:
        return None


def _projection(fields: str | Iterable[str] | None) -> Any:
    if fields is None:
        return lambda value: value
    from blockdb.query.parser import parse_fields  # here: most never ask for fields
    from blockdb.query.projection import projection

    return projection(parse_fields(fields if isinstance(fields, str) else list(fields)))
