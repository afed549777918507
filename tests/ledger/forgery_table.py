"""Prints docs/FORGERIES.md: `python -m tests.ledger.forgery_table > docs/FORGERIES.md`."""

from __future__ import annotations

from collections.abc import Iterable

from tests.database.forged_databases import FORGED
from tests.ledger import forged_ranges  # noqa: F401 - enters its forgeries into the table
from tests.ledger.forged_histories import STORIES
from tests.ledger.forgeries import FORGERIES, Found

HEAD = """# Forgeries

Every way of cheating that the tests try, and what finds it. Each line is a test: just that finds it, and nothing that
is named before it. Receipts are checked by the engine and by `docs/verify_receipt.py`. This page is generated:
`python -m tests.ledger.forgery_table > docs/FORGERIES.md`.

What can be written, signed and put back by one and the same person is found by no look at his files: he can do
everything that he could have done at first. So there are {outside} lines that take something kept outside: a checkpoint
or the verifier key, with somebody else, or a witness.
"""

ASIDE = """
## Not found, and why

- **A record that was changed before anything was signed.** Until a block or a checkpoint covers it, nothing binds it.
- **A value that was wrong when it was stored.** What is proven is what was written, not that it is true. Times are the
  database's own word; a witness's time is the witness's.
- **A forged past that nobody has a checkpoint of.** See above.
"""


def section(title: str, lines: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"| {name} | {found} |\n" for name, found in lines)
    return f"\n## {title}\n\n| forgery | found by |\n|---|---|\n{rows}"


def page() -> str:
    outside = sum(one.found is Found.OUTSIDE for one in FORGED) + len(STORIES)
    return "".join(
        (
            HEAD.format(outside=outside),
            section("Databases", ((one.name, one.found.value) for one in FORGED)),
            section("Histories told to a witness", ((one.name, Found.WITNESS.value) for one in STORIES)),
            section("Receipts", ((one.name, one.found.value) for one in FORGERIES)),
            ASIDE,
        )
    )


if __name__ == "__main__":
    print(page(), end="")
