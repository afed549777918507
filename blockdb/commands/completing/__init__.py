"""Completion: what may stand at the cursor of a line, for the shell, the explorer, and the shells of the system.

No front end's library is known here. `complete` takes a line as the shell and the explorer have it; `offered` takes
words that somebody else has cut (bash, zsh, fish); `complete_filter` takes a filter alone. What is asked of a database
goes through a `Source`, of which `LiveSource` asks one that is open.
"""

from __future__ import annotations

from .candidate import Candidate, Offer
from .fields import fields_of
from .filters import Completion, complete_fields, complete_filter, complete_order
from .lines import complete
from .source import NO_SOURCE, LiveSource, Source
from .usage import Usage, usage_of
from .words import offered

__all__ = [
    "NO_SOURCE",
    "Candidate",
    "Completion",
    "LiveSource",
    "Offer",
    "Source",
    "Usage",
    "complete",
    "complete_fields",
    "complete_filter",
    "complete_order",
    "fields_of",
    "offered",
    "usage_of",
]
