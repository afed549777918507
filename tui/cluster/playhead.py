"""Where on the time line one stands: at its growing end, at a moment of the past, or playing a recording."""

from __future__ import annotations

from typing import Protocol

__all__ = ["SPEEDS", "STEPS_MS", "Playhead", "Track"]

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
STEPS_MS = (100, 250, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000)
"""How much time a cell of the line may stand for."""


class Timed(Protocol):
    """Something that happened."""

    @property
    def time_ms(self) -> int: ...


class Track(Protocol):
    """What has a beginning, an end, and events between them: a story that grows, or a recording."""

    @property
    def first_ms(self) -> int: ...
    @property
    def last_ms(self) -> int: ...

    def next_event(self, time_ms: int, /) -> Timed | None:
        """The first event after a moment."""

    def previous_event(self, time_ms: int, /) -> Timed | None:
        """The last event before a moment."""


class Playhead:
    """A moment of a track. Live, it can follow the end; of a recording, it can be played."""

    def __init__(self, track: Track, *, is_live: bool) -> None:
        self.track = track
        self.is_live = is_live
        self.is_running = True
        """Live: whether it follows the end. Of a recording: whether it plays."""
        self._time_ms = float(track.first_ms)
        self._speed = SPEEDS.index(1.0)
        self._step = STEPS_MS.index(500)
        self._start_ms = 0

    @property
    def time_ms(self) -> int:
        """The moment that is shown."""
        return self.track.last_ms if self.is_live and self.is_running else int(self._time_ms)

    @property
    def speed(self) -> float:
        """How fast a recording is played: seconds of it in one second."""
        return SPEEDS[self._speed]

    @property
    def step_ms(self) -> int:
        """How much time a cell stands for."""
        return STEPS_MS[self._step]

    def advance(self, elapsed_s: float) -> None:
        """Time has gone by: a recording that is played goes on, and stops at its end."""
        if self.is_running and not self.is_live:
            self._time_ms += elapsed_s * 1000 * self.speed
            if self._time_ms >= self.track.last_ms:
                self._time_ms, self.is_running = float(self.track.last_ms), False

    def toggle(self) -> None:
        """Holds still, or goes on; a recording at its end begins again."""
        if self.is_running:
            self._time_ms = float(self.time_ms)
        elif not self.is_live and self._time_ms >= self.track.last_ms:
            self._time_ms = float(self.track.first_ms)
        self.is_running = not self.is_running

    def seek(self, time_ms: float) -> None:
        """Goes to a moment. Live, it stays there; at the end it follows again."""
        self._time_ms = min(max(float(time_ms), float(self.track.first_ms)), float(self.track.last_ms))
        if self.is_live:
            self.is_running = self._time_ms >= self.track.last_ms

    def move(self, cells: int) -> None:
        """Goes along the line by cells."""
        self.seek(self.time_ms + cells * self.step_ms)

    def to_first(self) -> None:
        """Goes to the beginning."""
        self.seek(self.track.first_ms)

    def to_last(self) -> None:
        """Goes to the end; live, to stay there."""
        self.seek(self.track.last_ms)

    def to_event(self, forwards: bool) -> bool:
        """Goes to the next event, or the one before. False where there is none."""
        find = self.track.next_event if forwards else self.track.previous_event
        event = find(self.time_ms)
        if event is not None:
            self.seek(event.time_ms)
        return event is not None

    def faster(self, by: int) -> None:
        """Plays a recording faster, or slower."""
        self._speed = min(max(self._speed + by, 0), len(SPEEDS) - 1)

    def zoom(self, by: int) -> None:
        """Lets a cell stand for more time, or for less."""
        self._step = min(max(self._step + by, 0), len(STEPS_MS) - 1)

    def start_ms(self, columns: int) -> int:
        """When the stretch begins that `columns` cells show. It moves only where the moment would leave it.

        A moment further away comes into its middle.
        """
        step, now = self.step_ms, self.time_ms
        first, last, cell = (moment // step for moment in (self.track.first_ms, self.track.last_ms, now))
        start = self._start_ms // step
        if (self.is_live and self.is_running) or cell == start + columns:
            start = cell - columns + 1
        elif cell == start - 1:
            start = cell
        elif not start <= cell < start + columns:
            start = cell - columns // 2
        newest = last - columns + 1
        start = min(start, newest if self.is_live else max(first, newest))
        self._start_ms = max(start, min(first, newest) if self.is_live else first) * step
        return self._start_ms
