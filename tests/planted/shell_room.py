"""Bugs of the shell: what is replaced, kept and given up."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

SHELL: Final[dict[str, Bug]] = {
    "variables-looked-at-again": Bug(
        "blockdb/commands/line.py",
        '(match["single"], None)\n',
        '_replaced(match["single"], variables)\n',
        ("tests/repl/test_transcripts.py::test_a_session",),
        "A variable is replaced in single quotes, where all is literal.",
    ),
    "values-behind-directives": Bug(
        "repl/history.py",
        "    if not inner:\n        return line\n",
        "    return line\n",
        ("tests/repl/test_typing.py::test_history_keeps_no_secrets",),
        "The value of a put stays in the history, because it stands behind a backslash command.",
    ),
    "nobody-asks-on": Bug(
        "blockdb/database/queries/search.py",
        "        insist_on_being_wanted()\n",
        "",
        ("tests/server/test_giving_up.py::test_a_query_that_nobody_wants_ends",),
        "A server works on for an asker that has gone.",
    ),
    "gone-and-not-noticed": Bug(
        "blockdb/server/http/application.py",
        "None if call.operation.is_quick else asyncio.ensure_future(exchange.until_gone())",
        "None",
        ("tests/server/test_giving_up.py::test_the_server_notices_that_its_asker_has_gone",),
        "A server does not notice that its asker has gone.",
    ),
    "continued-in-quotes": Bug(
        "repl/multiline.py",
        "    if found[-1].is_open:\n        return found[-1].quote\n",
        "",
        ("tests/repl/test_multiline.py::test_what_is_run_of_a_block",),
        "A value of several lines is cut at its first newline.",
    ),
    "stored-or-not": Bug(
        "repl/interrupted.py",
        "    if is_stored:\n",
        "    if not is_stored:\n",
        ("tests/repl/test_interrupted.py::test_what_is_said_of_a_write",),
        "Of a write that was interrupted the opposite is said of what became of it.",
    ),
}
