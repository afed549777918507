"""The time, which stands still until a test moves it on."""

import pytest


class Clock:
    """The only clock: of the writer and of what expires."""

    ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms * 1_000_000


def standing(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that the engine asks from now on."""
    clock = Clock()
    monkeypatch.setattr("blockdb.storage.surroundings.time_ns", clock)
    monkeypatch.setattr("blockdb.storage.expiry.time_ns", clock)
    return clock
