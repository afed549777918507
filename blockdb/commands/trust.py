"""How far a value can be trusted: the same three words in the explorer, in the shell and on the command line.

`✓ proven` is said of a record only if hashes that were recomputed in this process lead from its bytes to a checkpoint
or a block whose signature was checked in this process. `· read` is what somebody's word was taken for. `✗ failed` is
what was looked at and does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from blockdb.errors import BlockDBError, Corruption, DatabaseClosed, HistoryConflict, InvalidProof, Unavailable

from .display import human_count, plural, quoted

if TYPE_CHECKING:
    from blockdb import AnyCollection, AnyDatabase, Receipt, Record, Verified

__all__ = [
    "CAME_PROVEN",
    "FAILED",
    "LEGEND",
    "NOT_SEALED",
    "PROVEN",
    "READ",
    "Degree",
    "Prover",
    "Proving",
    "Trust",
    "failed",
    "proven_at_block",
    "read",
]

LARGEST_VALUE_BYTES = 1 << 20
"""A larger value is proven when somebody asks for that, and not in passing: its receipt holds it as base64."""


class Degree(NamedTuple):
    """A glyph and a word, which stand together wherever there is room, and the role that colours them."""

    glyph: str
    word: str
    role: str

    def __str__(self) -> str:
        return f"{self.glyph} {self.word}"


PROVEN = Degree("✓", "proven", "success")
READ = Degree("·", "read", "muted")
FAILED = Degree("✗", "failed", "error")

LEGEND = (
    "✓ proven: every hash from its bytes up to a signed checkpoint or block was recomputed here, and the signature "
    "holds. · read: it was read, and not proven. ✗ failed: it was looked at, and does not hold."
)


class Trust(NamedTuple):
    """How far one record can be trusted, at which height that was found, and why or what was found.

    `height` is the block or the size of the checkpoint that it is proven against: `block 7`, `1,000 records`. It and
    `words` may quote what is stored: they still have to be made printable.
    """

    degree: Degree
    height: str = ""
    words: str = ""

    def __str__(self) -> str:
        return f"{self.degree} @ {self.height}" if self.height else str(self.degree)

    @property
    def sentence(self) -> str:
        """The whole of it on a line."""
        return f"{self}: {self.words}" if self.words else str(self)


CAME_PROVEN = Trust(PROVEN, words="it came with a proof, which was checked here")
NOT_SEALED = Trust(READ, words="its block is open, not yet signed")


def read(why: str = "") -> Trust:
    """Read, and not proven."""
    return Trust(READ, words=why)


def failed(error: Exception) -> Trust:
    """Looked at, and found not to hold."""
    return Trust(FAILED, words=f"{type(error).__name__}: {error}")


def proven_at_block(number: int) -> Trust:
    """Proven by a verification of the chain in this process; block `number` is the last that was found good."""
    return Trust(PROVEN, f"block {human_count(number)}", "the chain up to there was recomputed here")


class Prover:
    """Proves records of one database by their receipts, each recomputed here. Not safe for threads."""

    def __init__(self, database: AnyDatabase) -> None:
        self._database = database
        self._key: str | None = None

    def trust(self, collection: AnyCollection, record: Record, *, asked: bool = False) -> Trust:
        """How far a record, as it was read, can be trusted. O(log n + records in a block).

        Unless somebody `asked`, nothing is signed for it: records that are not sealed stay read. Raises Unavailable and
        DatabaseClosed, after which nothing is known.
        """
        if not asked and record.block is None:
            return NOT_SEALED
        if not asked and len(record.value) > LARGEST_VALUE_BYTES:
            return read("it is large, so it is proven when that is asked for")
        return self._judged(collection, record)

    def _judged(self, collection: AnyCollection, record: Record) -> Trust:
        try:
            receipt = collection.prove(record.key)
            return _compared(receipt, self._verified(receipt), collection, record)
        except (Unavailable, DatabaseClosed):
            raise
        except (InvalidProof, HistoryConflict, Corruption, ValueError) as error:
            return failed(error)
        except (BlockDBError, OSError) as error:
            return read(f"no proof: {type(error).__name__}: {error}")

    def _verified(self, receipt: Receipt) -> Verified:
        """What the receipt proves under the key that the database names; that may have been changed meanwhile."""
        from blockdb import verify_receipt

        text = receipt.text
        if self._key is not None:
            with suppress(InvalidProof):
                return verify_receipt(text, self._key)
        self._key = self._database.verifier_key()
        return verify_receipt(text, self._key)


class Proving:
    """Records as they are given, each proven before it is passed on."""

    def __init__(self, prover: Prover, collection: AnyCollection, items: Iterable[tuple[bytes, bytes]]) -> None:
        self._prover, self._collection, self._items = prover, collection, items
        self._last, self._proven = read("there was nothing to prove"), 0

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Raises InvalidProof for the first that is not proven."""
        for key, value in self._items:
            record = self._collection.record(key)
            if record is None or record.value != value:
                raise InvalidProof(f"What is stored under {quoted(key)} is not what was read.")
            trust = self._prover.trust(self._collection, record, asked=True)
            if trust.degree is not PROVEN:
                raise InvalidProof(f"The record of {quoted(key)} is not proven: {trust.words}")
            self._last, self._proven = trust, self._proven + 1
            yield key, value

    def trust(self) -> Trust:
        """What was found of all that have been passed on."""
        if self._proven < 2:
            return self._last
        return Trust(PROVEN, self._last.height, f"each of these {human_count(self._proven)} was recomputed here")


def _compared(receipt: Receipt, verified: Verified, collection: AnyCollection, record: Record) -> Trust:
    """What a receipt that was checked says of the record that was read."""
    from blockdb.types import REDACTED  # here: slow to load, and words about trust are wanted before

    [proven] = verified.records
    shown = (record.key, record.value, record.time_ms, record.redacted)
    if (proven.key, proven.value, proven.time_ms, proven.value is REDACTED) != shown:
        return Trust(FAILED, words="the receipt is for another record than was read")
    if not _is_of(verified.origin, collection):
        return Trust(FAILED, words=f"the receipt is of {verified.origin}, which is another collection")
    hashes = plural(len(receipt.hashes) + 1, "hash").replace("hashs", "hashes")
    return Trust(PROVEN, plural(verified.size, "record"), f"{hashes} recomputed here")


def _is_of(origin: str, collection: AnyCollection) -> bool:
    """Whether a tree is that of a collection; that of one of several partitions has a name of its own."""
    return origin.rpartition("/")[2] == collection.id.removeprefix("col_") or len(collection.record_counts()) > 1
