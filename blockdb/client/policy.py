"""How long a client waits, how often it tries, and how much it takes."""

from __future__ import annotations

from dataclasses import dataclass, fields

from blockdb.errors import ConfigError

__all__ = ["Policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Limits of a client. Raises ConfigError, naming the one, for what cannot be."""

    timeout_s: float = 60.0
    """For a request altogether, with all that is tried again; streams, audits and the like take what they take."""
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 30.0
    """How long a server may be silent."""
    attempts: int = 6
    """How often each server is tried, where that is safe."""
    first_pause_s: float = 0.05
    """Before the servers are tried again; each pause is up to twice as long as the one before, by chance less."""
    longest_pause_s: float = 2.0
    max_connections: int = 100
    max_answer_bytes: int = 512 * 1024**2
    """More than this is not read of one answer."""
    compression: bool | None = None
    """Whether requests and answers are compressed; None: to servers that are not on this machine."""
    read_concern: str | None = None
    """Of a cluster: `Linearizable`, which sees all that was acknowledged anywhere before, or `Local`, which is what the
    node that answers has, and may be behind. None: as its collection or the cluster says."""

    def __post_init__(self) -> None:
        if self.compression not in (True, False, None):
            raise ConfigError(f"compression: it should be true or false, not {self.compression!r}.")
        if self.read_concern not in ("Linearizable", "Local", None):
            raise ConfigError(f"read_concern: it should be Linearizable or Local, not {self.read_concern!r}.")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("compression", "read_concern"):
                continue
            is_number = isinstance(value, int if field.type == "int" else int | float) and not isinstance(value, bool)
            if not is_number or not 0 < value < float("inf"):
                what = "whole number" if field.type == "int" else "number"
                raise ConfigError(f"{field.name}: it should be a {what} above 0, not {value!r}.")

    def pause_s(self, number: int, chance: float) -> float:
        """How long the pause of that number (from 0) is; `chance` is from 0 up and below 1."""
        longest = min(self.longest_pause_s, self.first_pause_s * (1 << min(number, 30)))
        return longest * (1 + chance) / 2
