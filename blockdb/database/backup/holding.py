"""Holding a database that was just restored against what anchors keep of its history."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from blockdb.config import from_settings
from blockdb.database.anchoring import Standing, standing
from blockdb.database.database import Database
from blockdb.database.proofs.anchors import is_witness
from blockdb.errors import BlockDBError, HistoryConflict
from blockdb.masterkey import MasterKeySource
from blockdb.types import Anchor


def check_anchors(
    path: Path, source: MasterKeySource, anchors: Sequence[Anchor], *, accept_older: bool
) -> tuple[str, ...]:
    """See that no anchor contradicts a database; what there is to tell is returned.

    The files on its own list are asked too, if they can be; never a witness there, since nothing that stands in a
    backup makes this machine call another. Raises HistoryConflict where one contradicts it, or where one that was
    named is newer and `accept_older` is not given; AnchorFailed and others where one that was named cannot be asked.
    """
    notes: list[str] = []
    try:
        database = Database(from_settings({"data_dir": str(path)}), read_only=True, create=False, source=source)
    except BlockDBError:
        if anchors:
            raise
        return ()
    with database:
        try:
            known = [anchor for anchor in database.anchors() if not is_witness(anchor)]
        except BlockDBError:
            known = []
        for anchor in anchors:
            notes += _told(anchor, standing(database, anchor), accept_older=accept_older)
        for anchor in known:
            if all(anchor.where != named.where for named in anchors):
                notes += _tried(database, anchor)
    return tuple(notes)


def _tried(database: Database, anchor: Anchor) -> list[str]:
    """The same for an anchor that nobody named."""
    try:
        return _told(anchor, standing(database, anchor), accept_older=True)
    except HistoryConflict:
        raise
    except BlockDBError as error:
        return [f"The anchor {anchor.where} could not be asked: {error}"]


def _told(anchor: Anchor, found: Standing, *, accept_older: bool) -> list[str]:
    if found.fault is not None:
        raise HistoryConflict(f"{anchor.where} contradicts the backup: {found.fault}. Nothing was restored.")
    if found.newest <= found.size:
        return [f"{anchor.where} agrees: its {found.newest} entries of the journal are in the backup"]
    what = (
        f"{anchor.where} is newer than the backup: it has the checkpoint of {found.newest} entries of the journal, and "
        f"the backup has {found.size}; what came after that is lost"
    )
    if not accept_older:
        raise HistoryConflict(
            f"{what}. Nothing was restored: find a later backup, or accept that (--accept-older, accept_older=True)."
        )
    return [what]
