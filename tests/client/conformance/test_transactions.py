"""tests/database/test_transactions.py, over the wire."""

from tests.client.borrowing import borrow
from tests.database import test_transactions as original

globals().update(
    borrow(
        original,
        original.db,
        without=[
            "test_what_became_of_the_last_ones_is_seen",
            "test_plain_writes_are_quick_again_once_nobody_holds_locks",
            "test_who_is_tried_again_stays_as_old_as_it_was",
            "test_what_nobody_has_any_more_holds_nothing",
            "test_what_is_collected_at_a_bad_moment_is_found_by_who_waits",
        ],
    )
)
