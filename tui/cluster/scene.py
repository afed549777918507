"""A cluster as the explorer has it: its story, where on it one stands, who is asked, and what can be done to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from blockdb.commands.recordings.events import Happening
from blockdb.commands.recordings.lanes import Sample

from .playhead import Playhead
from .story import Story
from .watch import Asked, Watch

__all__ = ["Scene", "Stage"]


class Stage(Protocol):
    """A cluster that faults can be done to. Methods wait, and raise BlockDBError or OSError."""

    def faults(self) -> Mapping[str, str]:
        """What is wrong with which node. Quick."""

    def kill(self, id_: str) -> None:
        """End a node's process at once, as a power cut would."""

    def restart(self, id_: str) -> None:
        """Start a node that was killed."""

    def pause(self, id_: str) -> None:
        """Stop a node's process where it stands."""

    def resume(self, id_: str) -> None:
        """Let a paused node go on."""

    def isolate(self, id_: str) -> None:
        """Cut a node off from all others."""

    def split(self, id_: str) -> tuple[str, ...]:
        """Cut the nodes into two halves, the smaller one with that node in it. Gives the smaller one."""

    def heal(self) -> None:
        """Connect all nodes again."""

    def transfer(self, id_: str) -> None:
        """Have a node lead."""


class Scene:
    """One cluster, watched live or replayed from a recording."""

    def __init__(
        self,
        story: Story,
        watch: Watch | None = None,
        stage: Stage | None = None,
        name: str = "",
        playhead: Playhead | None = None,
    ) -> None:
        """Without `watch` it is a recording, of that `name`, in which `playhead` goes about."""
        self.story = story
        self.watch = watch
        self.stage = stage
        self.name = name
        self.playhead = playhead or Playhead(story, is_live=watch is not None)
        self._started = False

    @classmethod
    def live(cls, nodes: Sequence[Asked], clock_ms: Callable[[], int], stage: Stage | None = None) -> Scene:
        """The scene of nodes that are asked; `clock_ms` is the time of day."""
        story = Story()
        return cls(story, Watch(story, nodes, clock_ms), stage)

    @property
    def is_live(self) -> bool:
        """Whether it is happening now."""
        return self.watch is not None

    @property
    def now(self) -> Sample | None:
        """The lanes of now; of a recording, those of the moment that is shown."""
        return self.story.at(self.story.last_ms if self.is_live else self.playhead.time_ms)

    def tick(self) -> None:
        """Takes what has come. Quick."""
        if self.watch is not None:
            if not self._started:
                self._started = True
                self.watch.start()
            self.watch.look(self.stage.faults() if self.stage is not None else None)

    def did(self, id_: str, what: str, time_ms: int) -> None:
        """Something was done to a node here."""
        if self.watch is not None:
            self.watch.tell(Happening(time_ms, id_, "fault", what=what))

    def close(self) -> None:
        """Asks nobody any more."""
        if self.watch is not None:
            self.watch.stop()
