"""Bugs of the client: what it sends again, whom it believes, what it leaves out."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

LIES = "tests/client/test_verifying.py"
REMOTE = "tests/client/test_remote.py"
TRANSPORT = "tests/client/test_transport.py"

CLIENT: Final[dict[str, Bug]] = {
    "unsafe-repeated": Bug(
        "blockdb/client/exchange.py",
        "self.is_over = outcome.was_sent and not self._asked.is_repeatable",
        "self.is_over = False",
        (f"{TRANSPORT}::test_what_may_have_been_done_is_not_sent_again_without_a_key",),
        "What may have been done is sent again, and done twice.",
    ),
    "elsewhere-followed": Bug(
        "blockdb/client/exchange.py",
        "if 300 <= outcome.status < 400:",
        "if 300 <= outcome.status < 301:",
        (f"{TRANSPORT}::test_redirects_are_not_followed_and_the_token_goes_nowhere_else",),
        "A redirect is taken for an answer.",
    ),
    "answer-without-end": Bug(
        "blockdb/client/body.py",
        "        self._size += len(data)\n",
        "        self._size = len(data)\n",
        (f"{TRANSPORT}::test_hostile_servers_end_in_an_error_in_time",),
        "A small answer that is decompressed may take all of the memory.",
    ),
    "rolled-back-believed": Bug(
        "blockdb/client/plans/advancing.py",
        "if before is not None and checkpoint.size < before.size:",
        "if before is not None and checkpoint.size < 0:",
        (f"{LIES}::test_an_old_checkpoint_is_not_taken_for_a_new_one",),
        "An old checkpoint is taken for the newest.",
    ),
    "old-absence-believed": Bug(
        "blockdb/client/plans/verifying.py",
        "if before[1] is not None and state.records < before[1].size:",
        "if before[1] is not None and state.records < 0:",
        (f"{LIES}::test_an_old_absence_is_caught_by_who_saw_the_collection_alone",),
        "That there was no such key once is taken for that there is none.",
    ),
    "any-origin-believed": Bug(
        "blockdb/client/plans/advancing.py",
        "if checkpoint.origin != origin:",
        "if checkpoint.origin == '':",
        (f"{LIES}::test_a_lie_is_caught",),
        "The proof of another collection is taken.",
    ),
    "receipt-not-checked": Bug(
        "blockdb/client/plans/verifying.py",
        "        _checked(receipt, self._trust)\n        return receipt\n",
        "        return receipt\n",
        (f"{LIES}::test_a_lie_is_caught",),
        "A receipt is read, and not held against its checkpoint.",
    ),
    "page-skipped": Bug(
        "blockdb/client/plans/plan.py",
        "self.is_over = self.cursor is None or self._left == 0",
        "self.is_over = self.cursor is None or self._left == 0 or not items[1:]",
        (f"{REMOTE}::test_queries_have_cursors_everywhere", f"{REMOTE}::test_a_page_ends_where_it_has_many_bytes"),
        "A scan ends with a page that has one record.",
    ),
    "pieces-half-done": Bug(
        "blockdb/client/plans/records.py",
        '            with suppress(BlockDBError):\n                yield Ask("abort"',
        '            with suppress(BlockDBError):\n                yield Ask("commit"',
        (f"{REMOTE}::test_a_large_batch_goes_in_pieces_and_is_stored_as_a_whole",),
        "Of a large batch that is refused, what came before is stored.",
    ),
}
