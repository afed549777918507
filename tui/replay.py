"""A recording that is replayed: where in it one is, and what the views show of that moment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from blockdb.commands.recordings.events import Happening
from blockdb.commands.recordings.reading import Recording, read_recording

from .cluster.playhead import Playhead
from .cluster.scene import Scene
from .cluster.story import Story

if TYPE_CHECKING:
    from blockdb import Alert

    from .history import History, Moment

__all__ = ["Replay"]


class Replay:
    """A recording and the moment of it that is shown."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.playhead = Playhead(recording, is_live=False)
        self.scene = self._scene() if recording.samples else None
        """Its cluster, where it has one."""

    @classmethod
    def of_file(cls, path: Path) -> Replay:
        """Raises OSError, and InvalidData for what is no recording."""
        return cls(read_recording(path))

    def _scene(self) -> Scene:
        recording = self.recording
        story = Story(most=len(recording.samples) + len(recording.events))
        for sample in recording.samples:
            story.add(sample)
        for event in recording.events:
            if isinstance(event, Happening):
                story.add(event)
        return Scene(story, name=recording.name, playhead=self.playhead)

    @property
    def name(self) -> str:
        """The file's."""
        return self.recording.name

    def history(self) -> History:
        """The figures up to the moment."""
        return self.recording.history_at(self.playhead.time_ms)

    def moment(self) -> Moment | None:
        """The newest figures of the moment."""
        return self.recording.moment_at(self.playhead.time_ms)

    def collection(self) -> str:
        """Which collection they are of."""
        return self.recording.collection_at(self.playhead.time_ms)

    def alerts(self) -> tuple[Alert, ...]:
        """The alerts that were on."""
        return self.recording.alerts_at(self.playhead.time_ms)
