"""The settings of a collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from blockdb.errors import ConfigError

__all__ = ["CollectionSettings"]

_LIMITS: Final[Mapping[str, tuple[int, int]]] = {
    "max_document_size": (1, 64 * 1024**2),
    "ttl_seconds": (1, 100 * 31_536_000),
    "replication_factor": (1, 64),
    "partitions": (1, 1024),
}

READ_CONCERNS: Final = ("Local", "Linearizable")
WRITE_CONCERNS: Final = ("Acknowledged", "Journaled", "Majority")


@dataclass(frozen=True, kw_only=True)
class CollectionSettings:
    """What a collection is told when it is created. Raises ConfigError, naming the key, for what cannot be done."""

    max_document_size: int = 16 * 1024 * 1024
    """Bytes that a value may have (1 to 64 MiB)."""
    ttl_seconds: int | None = None
    """After how many seconds a record is no longer shown (up to 100 years); the chain keeps it. None: never."""
    compression_enabled: bool | None = None
    """Whether full chain files are packed; None: as the database does."""
    encryption_enabled: bool | None = None
    """Whether it is encrypted on the disk: all collections of a database are, or none. None: as the database is."""
    redactable: bool | None = None
    """Whether values can be erased one day, all proofs intact; None: as the database's setting says."""
    replication_factor: int = 1
    """On how many nodes of a cluster it is kept, as far as there are so many (1 to 64); a node alone: one copy."""
    read_concern: str = "Local"
    """`Local` or `Linearizable`; outside of a cluster every read is both."""
    write_concern: str = "Acknowledged"
    """`Acknowledged`: as `wal_sync_interval` says; `Journaled`, and outside of a cluster `Majority`: forced first."""
    partitions: int = 1
    """Over how many streams its keys are spread (1 to 1,024), in a cluster whose engine has streams; else it is 1."""

    def __post_init__(self) -> None:
        for key, (low, high) in _LIMITS.items():
            value = getattr(self, key)
            if value is None and key == "ttl_seconds":
                continue
            if type(value) is not int or not low <= value <= high:
                raise ConfigError(f"{key}: it should be a whole number from {low} to {high}, not {value!r}.")
        for key in ("compression_enabled", "encryption_enabled", "redactable"):
            if getattr(self, key) not in (True, False, None):
                raise ConfigError(f"{key}: it should be true or false, not {getattr(self, key)!r}.")
        for key, known in (("read_concern", READ_CONCERNS), ("write_concern", WRITE_CONCERNS)):
            if getattr(self, key) not in known:
                raise ConfigError(f"{key}: it should be one of {', '.join(known)}, not {getattr(self, key)!r}.")

    @property
    def is_forced(self) -> bool:
        """Whether each write is on the disk before it is acknowledged, whatever the database does otherwise."""
        return self.write_concern != "Acknowledged"
