"""The course of what the view of records lists: worked out in the background, while the strip is in view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.timer import Timer

import blockdb

from ..course import Course
from ..offloop import in_background, off_loop
from ..widgets.course_strip import CourseStrip

if TYPE_CHECKING:
    from blockdb import AnyCollection

    from .view import View

__all__ = ["Coursing"]

SHOWN_EVERY_S = 0.2
LOOKED_EVERY_S = 3.0
"""What has come since is looked at no more often than that."""


class Coursing:
    """The strip of one view, and the course that is on it."""

    def __init__(self, view: View, strip: CourseStrip) -> None:
        self._view, self._strip = view, strip
        self._course: Course | None = None
        self._of = (-1, -1)
        self._looked_at_s = 0.0
        self._looking = False

    def show(self, collection: AnyCollection | None, prefix: bytes) -> None:
        """Shows the course of a prefix; nothing of no collection."""
        course = self._course
        if course is not None and (course.collection, course.prefix) != (collection, prefix):
            course.stop()
            course = None
        if course is None and collection is not None:
            course, self._of = Course(collection, prefix), (-1, -1)
        self._course = course if collection is not None else None
        self._strip.show(self._course, self._view.explorer.past.standing)
        self.grown()

    def grown(self) -> None:
        """Looks at what has come since, if the strip is in view and the last look is some time ago."""
        explorer, course, latest = self._view.explorer, self._course, self._view.explorer.history.latest
        if course is None or latest is None or self._looking or not self._strip.is_on_screen or not self._strip.size:
            return
        now = (latest.statistics.records, latest.statistics.blocks)
        first = self._of == (-1, -1)
        if now != self._of and (first or explorer.steady_s() - self._looked_at_s >= LOOKED_EVERY_S):
            self._of, self._looked_at_s, self._looking = now, explorer.steady_s(), True
            in_background(self._view, self._look, course, group="course")

    async def _look(self, course: Course) -> None:
        showing: Timer = self._view.set_interval(SHOWN_EVERY_S, self._strip.refresh)
        try:
            await off_loop(course.look)
        except (blockdb.BlockDBError, OSError) as error:
            self._view.explorer.missed(error)  # the list says what else is wrong
        finally:
            showing.stop()
            self._looking = False
        self._strip.refresh()
        if course is not self._course:
            self.grown()
