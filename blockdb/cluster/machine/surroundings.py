"""Time and chance of a database of a cluster: what the command has brought along that is being applied."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from blockdb.storage.surroundings import Surroundings

__all__ = ["CommandSurroundings"]

MOST_BYTES: Final = 32
SALT: Final = "salt"
SIGNING_KEY: Final = "signing key"


class CommandSurroundings(Surroundings):
    """Used by the thread that applies commands. Whoever else asks has no business to store anything: a bug."""

    is_shared = True

    def __init__(self) -> None:
        self._time_ms = 0
        self._seed = b""
        self._salts = 0
        self.signing_seed = b""
        """The key that a database which is being made is to sign with, where it is given."""

    def enter(self, time_ms: int, seed: bytes, ordinal: int = 0) -> None:
        """Now it is the turn of a command, or of the part of one that has this number."""
        self._time_ms = time_ms
        self._seed = seed and seed + ordinal.to_bytes(4, "little")
        self._salts = 0

    def now_ms(self) -> int:
        """The time of the command."""
        return self._time_ms

    def chance(self, size: int, purpose: str) -> bytes:
        """What follows from the seed of the command and a purpose: the same each time, but for salts."""
        assert self._seed, f"no command has brought chance along for a {purpose}"
        if purpose == SIGNING_KEY and self.signing_seed:
            return self.signing_seed
        assert size <= MOST_BYTES, "a seed is spread no further than that"
        if purpose == SALT:
            self._salts += 1
            purpose = f"{SALT} {self._salts}"
        return sha256(self._seed + purpose.encode()).digest()[:size]
