"""One history: each checkpoint that is taken extends the one before it."""

from __future__ import annotations

import re

from blockdb.client.plans.plan import Ask, Plan
from blockdb.client.trust import Trust
from blockdb.errors import Corruption, HistoryConflict, InvalidData, InvalidProof
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.note import BadNote
from blockdb.ledger.proof import BadProof, check_consistency
from blockdb.wire.messages import proofs
from blockdb.wire.operation import Nothing

__all__ = ["Advancing", "foreign"]


class Advancing:
    """Takes checkpoints that extend what was seen of a tree, and refuses others."""

    def __init__(self, trust: Trust) -> None:
        self.trust = trust

    def advance(self, note: str, origin: str, collection: str | None, before: Checkpoint | None) -> Plan[Checkpoint]:
        """The checkpoint of a note. `collection` is its id (None: the journal); `before` was seen before it was asked.

        Raises InvalidProof, HistoryConflict.
        """
        checkpoint = yield from self._opened(note)
        if checkpoint.origin != origin:
            raise foreign(checkpoint.origin, origin)
        if before is not None and checkpoint.size < before.size:
            raise HistoryConflict(
                f"The server shows a history of {checkpoint.size} records of {origin}, of which {before.size} were "
                "seen: it was rolled back, or something old is played again.",
                before.size,
            )
        yield from self.extend(origin, collection, checkpoint.size, checkpoint.root)
        self.trust.keep(note, checkpoint)
        return checkpoint

    def extend(self, origin: str, collection: str | None, size: int, root: bytes) -> Plan[None]:
        """Demand that a tree and the last one that was seen are of one history. Raises HistoryConflict."""
        last = self.trust.seen(origin)
        if last is None or (last.size, last.root) == (size, root):
            return
        (old_size, old_root), (new_size, new_root) = sorted([(last.size, last.root), (size, root)])
        if old_size == new_size:
            raise _fork(origin, old_size, "there are two trees of that size")
        try:
            hashes = yield _growth(collection, old_size, new_size)
            check_consistency(old_size, new_size, old_root, new_root, hashes.hashes)
        except (BadProof, InvalidData, Corruption) as error:
            raise _fork(origin, last.size, str(error)) from None

    def _opened(self, note: str) -> Plan[Checkpoint]:
        try:
            return self.trust.opened(note)
        except BadNote:
            found: proofs.Keys = yield Ask("keys", Nothing())
        self.trust.follow(found.earlier)
        try:
            return self.trust.opened(note)
        except BadNote as error:
            raise InvalidProof(f"The server's checkpoint is not to be trusted: {error}.") from None


def _growth(collection: str | None, old_size: int, size: int) -> Ask:
    if collection is None:
        return Ask("database_consistency", proofs.DatabaseGrowth(old_size=old_size, size=size))
    return Ask("consistency", proofs.Growth(collection=collection, old_size=old_size, size=size))


def _fork(origin: str, size: int, why: str) -> HistoryConflict:
    told = why.rstrip(".")
    return HistoryConflict(
        f"The server's history of {origin} does not extend the {size} records that were seen of it: {told}.", size
    )


def foreign(found: str, wanted: str) -> InvalidProof:
    """The error for a proof of something else than what was asked about."""
    hint = ""
    if re.match(rf"{re.escape(wanted.rpartition('/')[0])}/.*:[0-9]+/", found):
        hint = (
            " It is of a partition, which verified=True does not follow yet: connect without it, and check receipts "
            "with blockdb.verify_receipt."
        )
    return InvalidProof(f"The server proves something of {found}, where {wanted} was asked about.{hint}")
