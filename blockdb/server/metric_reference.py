"""The table of metrics in docs/MONITORING.md, made from what the server tells."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from blockdb.server.prometheus import families
from blockdb.statistics import Snapshot

__all__ = ["BEGIN", "END", "inserted", "table"]

BEGIN = "<!-- begin: python -m blockdb.server.metric_reference docs/MONITORING.md -->"
END = "<!-- end -->"


def table() -> str:
    """Name, kind, labels and meaning of each metric, as Markdown."""
    return "\n".join(("| metric | kind | labels | meaning |", "|---|---|---|---|", *sorted(_rows())))


def _rows() -> Iterator[str]:
    for family in families(Snapshot(0, {}, 0, 0, 0), ()):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in vars(family)["_labelnames"])
        yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


def inserted(text: str) -> str:
    """The page with the table as it is now."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    from pathlib import Path

    page = Path(sys.argv[1])
    page.write_text(inserted(page.read_text(encoding="utf-8")), encoding="utf-8")
