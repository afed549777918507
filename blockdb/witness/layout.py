"""Which file is which in the directory of a witness.

LOCK                                    kernel lock of the witness that serves, always empty
witness.toml                            its name and its secret key
logs/<hash of origin>.toml              a log that it trusts: origin and keys
checkpoints/<hash of origin>            the last checkpoint of that log which it cosigned
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WitnessFiles:
    """The files of a witness; a log goes by the hash of its origin."""

    root: Path

    @property
    def lock(self) -> Path:
        """The file whose kernel lock the witness holds while it serves."""
        return self.root / "LOCK"

    @property
    def witness(self) -> Path:
        """The name and the secret key; its existence is what makes a directory a witness's."""
        return self.root / "witness.toml"

    @property
    def logs(self) -> Path:
        """The directory of trusted logs."""
        return self.root / "logs"

    @property
    def checkpoints(self) -> Path:
        """The directory of the last checkpoints."""
        return self.root / "checkpoints"

    def log(self, log_id: str) -> Path:
        """A trusted log."""
        return self.logs / f"{log_id}.toml"

    def checkpoint(self, log_id: str) -> Path:
        """The last checkpoint of a log."""
        return self.checkpoints / log_id
