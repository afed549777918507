"""Bugs of what a server stands on, and of what lets requests in."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

CONNECTION = "tests/serving/test_connection.py"
PROCESS = "tests/serving/test_process.py"
RUNNING = "tests/server/test_serving.py"

SERVING: Final[dict[str, Bug]] = {
    "slow-heads": Bug(
        "blockdb/serving/connection.py",
        "queue = self.waiting.heads if self._in_head else self.waiting.idle",
        "queue = self.waiting.idle",
        (f"{CONNECTION}::test_a_slow_head_has_its_time",),
        "The second head on a connection has all the time in the world.",
    ),
    "head-without-end": Bug(
        "blockdb/serving/connection.py",
        "self._head_bytes += len(data)",
        "self._head_bytes = len(data)",
        (f"{CONNECTION}::test_a_head_that_comes_in_pieces_has_its_limit",),
        "A head that comes in pieces may be as long as it likes.",
    ),
    "pipeline-without-end": Bug(
        "blockdb/serving/connection.py",
        "if len(self.pipeline) >= self._limits.max_pipelined:",
        "if len(self.pipeline) < 0:",
        (f"{CONNECTION}::test_a_pipeline_has_an_end",),
        "Requests that wait for an answer fill the memory.",
    ),
    "forgotten-request": Bug(
        "blockdb/serving/connection.py",
        "for cycle in (self._running, *(cycle for cycle, _ in self.pipeline)):",
        "for cycle in ():",
        (f"{CONNECTION}::test_a_client_that_goes_ends_every_request_of_its",),
        "A stream with a request behind it goes on after its client has gone.",
    ),
    "answer-thrown-away": Bug(
        "blockdb/serving/connection.py",
        "self._connection.linger()",
        "self._connection.transport.abort()",
        (f"{RUNNING}::test_what_is_too_much",),
        "Who is refused in the middle of a body does not get to read why.",
    ),
    "no-room": Bug(
        "blockdb/serving/connection.py",
        "> self._limits.max_connections and not self.waiting.make_room():",
        "> self._limits.max_connections:",
        (f"{CONNECTION}::test_where_all_is_taken_the_idle_make_room_and_else_one_is_refused",),
        "Idle connections keep others out.",
    ),
    "cut-off": Bug(
        "blockdb/serving/process.py",
        "await self._finish()\n",
        "pass\n",
        (f"{PROCESS}::test_what_was_begun_is_finished_and_systemd_is_told",),
        "What was begun is cut off when the server is told to end.",
    ),
    "half-a-head": Bug(
        "blockdb/serving/repeating.py",
        "or not data.startswith(other, end):",
        "or not data.endswith(other[-4:], end, end + len(other)):",
        ("tests/serving/test_repeating.py::test_what_stands_behind_the_length_is_the_same",),
        "Headers behind the length are taken for those that came before.",
    ),
    "any-key-of-a-head": Bug(
        "blockdb/serving/repeating.py",
        "return None if key is not None and _is_key(key) is None else (data[at:], key)",
        "return data[at:], key",
        ("tests/serving/test_repeating.py::test_a_key_may_be_another_one",),
        "A key is taken from a head that the parser would refuse.",
    ),
    "long-heads-of-keys": Bug(
        "blockdb/serving/repeating.py",
        "if len(data) - len(body) > connection.waiting.limits.max_header_bytes:",
        "if len(data) - len(body) > 1 << 20:",
        ("tests/serving/test_repeating.py::test_a_key_makes_no_head_longer_than_it_may_be",),
        "A head that is known by all but its key may be longer than others may.",
    ),
    "remembered-for-ever": Bug(
        "blockdb/serving/repeating.py",
        "if self._generation != connection.waiting.generation:",
        "if self._generation > connection.waiting.generation:",
        ("tests/serving/test_repeating.py::test_what_is_the_same_and_nothing_else",),
        "Who was let in by settings that have changed is let in for as long as the connection lasts.",
    ),
    "counted-twice": Bug(
        "blockdb/server/service.py",
        "        if not call.is_admitted:\n            self.admit(call, request)\n",
        "        self.admit(call, request)\n",
        ("tests/server/test_again.py::test_what_waits_for_a_transaction_is_waited_for",),
        "What has to wait for others counts several times against the rate of who asks.",
    ),
    "who-asked-before": Bug(
        "blockdb/server/http/again.py",
        "principal_of(service.authenticator, *self._asking)",
        "like.principal",
        ("tests/server/test_again.py::test_who_asks_and_how_often_is_looked_at_each_time",),
        "A token that was revoked goes on writing on connections that it had.",
    ),
}

SERVER: Final[dict[str, Bug]] = {
    "bomb": Bug(
        "blockdb/server/http/encodings.py",
        "self._member.decompress(piece, most_bytes - len(found) + 1)",
        "self._member.decompress(piece)",
        ("tests/server/test_encodings.py::test_a_bomb_is_not_inflated",),
        "A small body is inflated to fill the memory before it is refused.",
    ),
    "rebinding": Bug(
        "blockdb/server/http/gate.py",
        'if b"*" not in self._names and name.lower()',
        'if b"*" in self._names and name.lower()',
        (f"{RUNNING}::test_names_under_which_it_is_asked_for",),
        "A web page reaches the server under a name of its own.",
    ),
    "other-pages": Bug(
        "blockdb/server/http/gate.py",
        "(not config.cors_origins and self._is_authenticated())",
        "not config.cors_origins",
        (f"{RUNNING}::test_pages_of_other_origins",),
        "Every web page may write to a server that asks nobody who they are.",
    ),
    "secret-in-the-log": Bug(
        "blockdb/server/logs.py",
        "yield key, _without_secrets(value) if isinstance(value, str) else value",
        "yield key, value",
        ("tests/server/test_logs.py::test_secrets_are_not_told",),
        "A token that stands in a field is written to the log.",
    ),
    "broken-settings": Bug(
        "blockdb/server/serving.py",
        'log.error("the configuration stays as it was: %s", error)\n            return',
        'log.error("the configuration stays as it was: %s", error)\n            raise',
        (f"{RUNNING}::test_settings_that_change",),
        "A mistake in the settings breaks a server that runs.",
    ),
    "rate": Bug(
        "blockdb/server/limits.py",
        "due = max(self._due.get(caller, 0.0), now) + 1 / self.per_second",
        "due = now + 1 / self.per_second",
        ("tests/server/test_limits.py::test_a_second_is_allowed_at_once_and_then_one_after_the_other",),
        "Who asks all the time is never told to wait.",
    ),
}
