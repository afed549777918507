"""What `explain` tells of a query."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Explanation"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a query was answered, and what that took. Fields in words are for people, and may change."""

    filter: str
    """The filter in its canonical form, parameters filled in; empty if it lets everything through."""
    order: str
    """The order in full, with what decides between equals."""
    access: str
    """Where the documents came from: `index by_city`, `keys`, `all records`; several with `or` between them."""
    ranges: tuple[str, ...]
    """The ranges of keys or values that were gone through; none where all were."""
    residual: str
    """What was still asked of each document; empty if the ranges say it all."""
    sort: str
    """What put them in order: `as stored`, `by the index by_age`, `in memory, by age, _sequence`."""
    estimated: int | None
    """How many entries the ranges were thought to have; None where all records were gone through."""
    touched: int
    """How many records were read."""
    returned: int
    """How many documents came out."""
    left_out: int
    """Records among those read whose values are no JSON objects, so that they are no documents."""
    redacted: int
    """Records among those read whose values were redacted."""
    elapsed_ms: float
    notes: tuple[str, ...] = ()
    """What may be a mistake, such as a field that is nowhere else."""
