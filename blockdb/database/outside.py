"""Holding a directory that nobody has opened against its anchors: what an audit of the files alone cannot know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from blockdb.config import from_settings
from blockdb.database.database import Database
from blockdb.errors import BlockDBError, InvalidData
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.types import Anchor, Problem, Report


def held_against_anchors(
    report: Report, path: Path, further: Iterable[Anchor], source: MasterKeySource | None = None
) -> Report:
    """A report on a directory, with what its anchors and further ones contradict; it is opened to read.

    `source` is where the master key of an encrypted one comes from. Raises InvalidData for what cannot be an anchor.
    """
    try:
        config = from_settings({"data_dir": str(path)})
        with Database(config, read_only=True, create=False, source=source) as database:
            return database.with_anchors(report, further)
    except InvalidData:
        raise
    except BlockDBError as error:
        what = f"the anchors were not asked, since the database cannot be opened: {error}"
        listed = str(DatabaseFiles(path).anchors.relative_to(path))
        problem = Problem(listed, None, None, None, None, what)
        return replace(report, valid=False, problems=(*report.problems, problem))
