"""Holding a directory that nobody has opened against its anchors: what an audit of the files alone cannot know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from blockdb.config import from_settings
from blockdb.database.database import Database
from blockdb.errors import BlockDBError, InvalidData
from blockdb.layout import DatabaseFiles
from blockdb.types import Anchor, Problem, Report


def held_against_anchors(report: Report, path: Path, further: Iterable[Anchor]) -> Report:
    """A report on a directory, with what its anchors and further ones contradict; it is opened to read.

    Raises InvalidData for what cannot be an anchor.
    """
    try:
        with Database(from_settings({"data_dir": str(path)}), read_only=True, create=False) as database:
            return database.with_anchors(report, further)
    except InvalidData:
        raise
    except BlockDBError as error:
        what = f"the anchors were not asked, since the database cannot be opened: {error}"
        listed = str(DatabaseFiles(path).anchors.relative_to(path))
        problem = Problem(listed, None, None, None, None, what)
        return replace(report, valid=False, problems=(*report.problems, problem))
