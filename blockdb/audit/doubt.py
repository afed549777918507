"""The one thing that an audit in bulk says beside yes."""

from __future__ import annotations


class Doubt(Exception):
    """Something is not as it should be, or not as simple as it usually is: `ChainAudit` is to look closely."""
