"""The line about the scrubber: off, at work, at rest, failed, and above all what it found."""

import pytest

from blockdb import ScrubStatistics
from blockdb_tui.widgets.storage_panels import scrub_line

STATES = [
    (ScrubStatistics(), "scrub  off"),
    (ScrubStatistics(rate_limit=4 << 20), "scrub  waiting  at 4 MB/s"),
    (
        ScrubStatistics(rate_limit=4 << 20, running=True, passes=2, records_done=450, records_total=1000),
        "scrub  ◐ 45% of pass 3  at 4 MB/s",
    ),
    (ScrubStatistics(rate_limit=4 << 20, passes=1), "scrub  ✓ 1 pass  at 4 MB/s"),
    (ScrubStatistics(rate_limit=4 << 20, failure="no"), "scrub  failed: blockdb stats"),
    (ScrubStatistics(rate_limit=4 << 20, problems=("one", "two")), "scrub  ✗ 2 problems: blockdb stats"),
]


@pytest.mark.parametrize(("state", "text"), STATES)
def test_the_line_says_it_within_the_narrowest_panel(state: ScrubStatistics, text: str) -> None:
    line = "".join(piece for piece, _ in scrub_line(state))
    assert line == text
    assert len(line) <= 36
