"""Recording what the explorer sees, into a file that a thread of its own writes: nobody waits for the disk."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from blockdb.commands.display import human_bytes, human_time, plural

from .offloop import in_background, off_loop

if TYPE_CHECKING:
    from textual.timer import Timer

    from blockdb import Report, Statistics
    from blockdb.commands.recordings.keeping import Keeper

    from .app import Explorer
    from .cluster.story import Story

__all__ = ["Recorder"]

LOOK_S = 0.25
END_S = 2.0
"""How long leaving the explorer waits for the disk."""


class _Writer:
    """A thread that has what is put in kept."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.failure: OSError | None = None
        self._queue: SimpleQueue[Callable[[Keeper], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="explorer-recorder", daemon=True)
        self._thread.start()

    def put(self, work: Callable[[Keeper], None]) -> None:
        """Quick. After a failure nothing more is kept."""
        if self.failure is None:
            self._queue.put(work)

    def end(self) -> None:
        """Ends the file, or, where the disk takes too long, leaves it to the thread."""
        self._queue.put(None)
        self._thread.join(END_S)

    def _run(self) -> None:
        try:
            with closing(self.keeper):
                while (work := self._queue.get()) is not None:
                    work(self.keeper)
        except OSError as error:
            self.failure = error


class Recorder:
    """Hands on to the file what the explorer takes anyway, and looks for the rest four times a second."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._writer: _Writer | None = None
        self._timer: Timer | None = None
        self._story: Story | None = None
        self._was_lost = False
        self._report: Report | None = None

    @property
    def is_on(self) -> bool:
        """Whether something is recorded."""
        return self._writer is not None

    def new_name(self) -> str:
        """A name for a file, by the time of day."""
        stamp = human_time(self._explorer.wall_clock_ms())[:19].replace("-", "").replace(":", "").replace(" ", "-")
        return f"blockdb-{stamp}.jsonl"

    def begin(self, name: str) -> None:
        """Begins to record into a new file, and says why where that cannot be."""
        if name.strip() and not self.is_on:
            in_background(self._explorer, self._begin, Path(name.strip()).expanduser(), group="record")

    async def _begin(self, path: Path) -> None:
        from blockdb.commands.recordings.keeping import Keeper

        explorer = self._explorer
        try:
            keeper = await off_loop(Keeper, path, explorer.origin.name, explorer.wall_clock_ms())
        except FileExistsError:
            explorer.say(f"{path} is there already; nothing is recorded.", "warning")
            return
        except OSError as error:
            explorer.say(f"It cannot be recorded. {error}", "error")
            return
        self._writer = _Writer(keeper)
        self._report, self._was_lost = explorer.verification.report, False
        self._timer = explorer.set_interval(LOOK_S, self.look)
        if explorer.history.latest is not None:
            self.take(explorer.history.latest.statistics)
        self.look()
        self._light()
        explorer.say(f"Recording into {path}: figures and events, no keys and no values. R ends it.")

    def take(self, statistics: Statistics) -> None:
        """A snapshot of the collection that is looked at."""
        collection = self._explorer.collection
        if self._writer is not None and collection is not None:
            name, time_ms = collection.name, self._explorer.wall_clock_ms()
            self._writer.put(lambda keeper: keeper.take_statistics(time_ms, name, statistics))

    def look(self) -> None:
        """Looks what has come besides: the cluster, alerts, the connection, a verification."""
        writer, explorer = self._writer, self._explorer
        if writer is None:
            return
        if writer.failure is not None or writer.keeper.is_full:
            self.stop()
            return
        self._look_at_cluster()
        time_ms, alerts = explorer.wall_clock_ms(), explorer.alarms.alerts
        writer.put(lambda keeper: keeper.take_alerts(time_ms, alerts))
        is_lost = explorer.contact.lost or (explorer.database is None and explorer.trouble[3] == "error")
        if is_lost != self._was_lost:
            self._was_lost = is_lost
            self._note("lost" if is_lost else "mending", "" if is_lost else "it answers again")
        report = explorer.verification.report
        if report is not None and report is not self._report and not report.cancelled:
            counts = f"{plural(report.blocks, 'block')}, {plural(report.records, 'record')}"
            bad = len(report.problems)
            self._note("damage" if bad else "verified", f"{plural(bad, 'problem')} in {counts}" if bad else counts)
        self._report = report

    def _look_at_cluster(self) -> None:
        scene = self._explorer.scene
        if scene is None:
            return
        if scene.story is not self._story:
            self._story = scene.story
            scene.story.heard = self._hear
        in_front = self._explorer.view
        is_asked = in_front is not None and in_front.NAME == "dashboard"
        if not is_asked and not any(view.NAME == "cluster" for view in self._explorer.views()):
            scene.tick()  # nobody else does

    def _hear(self, item: Any) -> None:
        if self._writer is not None:
            from blockdb.commands.recordings.lanes import Sample

            is_sample = isinstance(item, Sample)
            self._writer.put(lambda keeper: keeper.take_sample(item) if is_sample else keeper.take_event(item))

    def _note(self, kind: str, what: str) -> None:
        from blockdb.commands.recordings.events import Note

        if self._writer is not None:
            note = Note(self._explorer.wall_clock_ms(), kind, what)
            self._writer.put(lambda keeper: keeper.take_event(note))

    def stop(self) -> None:
        """Ends it, and says what there is now."""
        writer = self._writer
        if writer is not None:
            self._let_go()
            in_background(self._explorer, self._end, writer, group="record")

    async def _end(self, writer: _Writer) -> None:
        await off_loop(writer.end)
        path, size = writer.keeper.path, human_bytes(writer.keeper.size_bytes)
        if writer.failure is not None:
            self._explorer.say(f"The recording has ended: {path} cannot be written. {writer.failure}", "error")
        else:
            why = " It is as long as it may be." if writer.keeper.is_full else ""
            again = f"blockdb-tui --replay {shlex.quote(str(path))}"
            self._explorer.say(f"Recorded {size}.{why} To see it again: {again}")

    def _let_go(self) -> None:
        self._writer = None
        if self._timer is not None:
            self._timer.stop()
        if self._story is not None:
            self._story.heard = None
            self._story = None
        self._light()

    def _light(self) -> None:
        for view in self._explorer.views():
            view.header.refresh()

    def close(self) -> None:
        """Ends it while the explorer does."""
        if self._writer is not None:
            self._writer.end()
            self._writer = None
