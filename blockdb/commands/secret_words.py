"""What looks like a secret, and so is neither kept nor listed."""

from __future__ import annotations

import re

__all__ = ["looks_secret"]

_SECRET = re.compile(
    r"passw|passphrase|(?<![a-z])pwd?(?![a-z])|secret|token|api.?key|private.?key|credential|bearer|bdb_[a-z0-9]+_",
    re.IGNORECASE,
)


def looks_secret(text: str) -> bool:
    """Whether a line, or a name, looks as if it held a secret."""
    return _SECRET.search(text) is not None
