"""A request that comes again: its first answer, done once, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from blockdb.errors import IdempotencyConflict, InvalidData, StorageError
from blockdb.format.intent import Intent
from blockdb.server.idempotency import ENTRY_BYTES, Idempotency, Written
from blockdb.server.intents import FILE, IntentLog

COLLECTION = bytes(16)


def failing() -> bytes:
    raise StorageError("no")


def never() -> bytes:
    raise AssertionError("it is done a second time")


def test_the_first_answer_is_given_again_and_to_nobody_else() -> None:
    remembered = Idempotency()
    assert remembered.run("ann", "k", b"request", lambda: b"answer") == b"answer"
    assert remembered.run("ann", "k", b"request", never) == b"answer"
    assert remembered.run("bob", "k", b"request", lambda: b"his own") == b"his own"
    assert remembered.run("an", "nk", b"request", lambda: b"another") == b"another"
    with pytest.raises(IdempotencyConflict, match="'k' stood for another request"):
        remembered.run("ann", "k", b"another request", never)


def test_what_failed_may_be_asked_again() -> None:
    remembered = Idempotency()
    with pytest.raises(StorageError):
        remembered.run("ann", "k", b"request", failing)
    assert remembered.run("ann", "k", b"another request", lambda: b"answer") == b"answer"


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(InvalidData, match="1 to 255"):
        Idempotency().run("ann", key, b"", never)


def test_memory_is_bounded_and_the_oldest_go_first() -> None:
    now = [0.0]
    remembered = Idempotency(max_entries=3, max_bytes=10_000, max_age_s=10, clock=lambda: now[0])

    def ask(key: str, size: int = 1) -> bool:
        """Whether it was done now."""
        done: list[bytes] = []

        def execute() -> bytes:
            done.append(b"")
            return bytes(size)

        remembered.run("ann", key, b"", execute)
        return bool(done)

    assert [ask(key) for key in "abcda"] == [True, True, True, True, True]
    assert [ask(key) for key in "acdb"] == [False, False, False, True]
    assert ask("large", 10_000 - ENTRY_BYTES)
    assert len(remembered) == 1
    now[0] = 10.5
    assert ask("large")
    now[0] = 30.0
    assert ask("new")
    assert len(remembered) == 1


def test_who_asks_meanwhile_waits_for_the_first_answer() -> None:
    remembered = Idempotency()
    is_at_it, may_end = Event(), Event()
    answers: list[bytes] = []

    def first() -> bytes:
        is_at_it.set()
        assert may_end.wait(20)
        return b"answer"

    def ask(execute: Callable[[], bytes]) -> Thread:
        thread = Thread(target=lambda: answers.append(remembered.run("ann", "k", b"", execute)))
        thread.start()
        return thread

    threads = [ask(first)]
    assert is_at_it.wait(20)
    with pytest.raises(IdempotencyConflict):
        remembered.run("ann", "k", b"another", never)
    threads += [ask(never), ask(never)]
    may_end.set()
    for thread in threads:
        thread.join()
    assert answers == [b"answer"] * 3


def test_where_the_first_fails_one_of_those_who_wait_does_it() -> None:
    remembered = Idempotency()
    is_at_it, may_end = Event(), Event()
    done: list[bytes] = []
    answers: list[bytes] = []

    def first() -> bytes:
        is_at_it.set()
        assert may_end.wait(20)
        raise StorageError("no")

    def ask_first() -> None:
        with pytest.raises(StorageError):
            remembered.run("ann", "k", b"", first)

    def second() -> bytes:
        done.append(b"")
        return b"answer"

    threads = [Thread(target=ask_first)]
    threads += [Thread(target=lambda: answers.append(remembered.run("ann", "k", b"", second))) for _ in range(3)]
    threads[0].start()
    assert is_at_it.wait(20)
    for thread in threads[1:]:
        thread.start()
    may_end.set()
    for thread in threads:
        thread.join()
    assert (answers, len(done)) == ([b"answer"] * 3, 1)


# The log.


def intended(log: IntentLog, key: str, keys: list[bytes]) -> None:
    remembered = Idempotency(log)
    remembered.run("ann", key, b"request", lambda: b"answer", lambda: [(COLLECTION, 0, keys)])


def test_intents_go_on_in_the_same_file_and_then_in_another_one(tmp_path: Path) -> None:
    directory = tmp_path / "server"
    for number in range(4):
        log = IntentLog(directory, max_bytes=36 + 2 * 100)
        intended(log, str(number), [b"a"])
        log.close()
        found = IntentLog(directory).take_earlier()
        assert len(found) == number + 1
    assert {path.name for path in directory.iterdir()} == {FILE, FILE + ".old"}
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / FILE).stat().st_mode & 0o777 == 0o600
    log = IntentLog(directory, max_bytes=36 + 2 * 100)
    intended(log, "4", [b"a"])
    log.close()
    assert len(IntentLog(directory).take_earlier()) == 3


def test_a_torn_end_is_cut_off_and_a_foreign_file_begun_anew(tmp_path: Path) -> None:
    log = IntentLog(tmp_path)
    for number in range(2):
        intended(log, str(number), [b"a"])
    log.close()
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-1])
    log = IntentLog(tmp_path)
    assert len(log.take_earlier()) == 1
    intended(log, "3", [b"a"])
    log.close()
    assert len(IntentLog(tmp_path).take_earlier()) == 2
    path.write_bytes(b"something else")
    log = IntentLog(tmp_path)
    assert log.take_earlier() == []
    intended(log, "4", [b"a"])
    log.close()
    assert len(IntentLog(tmp_path).take_earlier()) == 1


def test_nothing_is_done_where_the_intent_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    log = IntentLog(tmp_path)
    with pytest.raises(StorageError, match="nothing was stored"):
        Idempotency(log).run("ann", "k", b"", never, lambda: [(COLLECTION, 0, [b"a"])])


# A model: a set of keys that only grows, a server that is killed anywhere.


class Killed(Exception):
    """The process ends here."""


class Retrying(RuleBasedStateMachine):
    """Requests under a few keys by two owners, asked again and again; the server is killed at any step.

    Held against it: a request is done once at most, and who gets an answer gets the one of that time.
    """

    owners = st.sampled_from(["ann", "bob"])
    keys = st.sampled_from("kl")
    requests = st.sampled_from([b"x", b"y"])
    steps = st.sampled_from(["before", "after", "never", "never", "fails"])

    def __init__(self) -> None:
        super().__init__()
        self.stored: list[tuple[str, str, bytes]] = []
        """What was done, in order: its place is the answer."""
        self.known: dict[tuple[str, str], bytes] = {}
        """What each key certainly stands for."""
        self.promised: set[tuple[str, str, bytes]] = set()
        """What was done, and of which the log tells."""

    @initialize(directory=st.just(None))
    def start(self, directory: None) -> None:
        import tempfile

        self._directory = tempfile.TemporaryDirectory()
        self.open()

    def open(self) -> None:
        self.log = IntentLog(Path(self._directory.name))
        self.remembered = Idempotency(self.log, self.log.take_earlier())

    @rule()
    def kill(self) -> None:
        self.log.close()
        self.open()

    @rule(cut=st.integers(1, 150))
    def damage(self, cut: int) -> None:
        """A power cut takes the end of the log."""
        path = Path(self._directory.name) / FILE
        self.log.close()
        if path.exists():
            path.write_bytes(path.read_bytes()[:-cut])
            self.promised.clear()
            self.known.clear()
        self.open()

    @rule(owner=owners, key=keys, request=requests, step=steps)
    def ask(self, owner: str, key: str, request: bytes, step: str) -> None:
        me = (owner, key, request)

        def execute() -> bytes:
            if step == "before":
                raise Killed
            if step == "fails" or me in self.stored:  # as a key that is stored cannot be stored again
                raise StorageError("no")
            self.stored.append(me)
            self.promised.add(me)
            if step == "after":
                raise Killed
            return b"%d" % self.stored.index(me)

        def about() -> list[Written]:
            return [(COLLECTION, len(self.stored), [repr(me).encode()])]

        def recall(intent: Intent) -> bytes | None:
            [part] = intent.parts
            is_there = me in self.stored and self.stored.index(me) >= part.next_sequence
            return b"%d" % self.stored.index(me) if is_there else None

        try:
            answer = self.remembered.run(owner, key, request, execute, about, recall)
        except Killed:
            self.kill()
        except IdempotencyConflict:
            assert self.known.get((owner, key)) != request
        except StorageError:
            assert me not in self.promised
        else:
            assert self.stored[int(answer)] == me
            self.known[owner, key] = request

    @invariant()
    def nothing_is_done_twice(self) -> None:
        assert len(set(self.stored)) == len(self.stored)

    def teardown(self) -> None:
        self.log.close()
        self._directory.cleanup()


TestRetrying = Retrying.TestCase
TestRetrying.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)


@pytest.mark.torture
class TestRetryingLong(Retrying.TestCase):  # type: ignore[misc, name-defined]
    """The same for longer."""

    settings = settings(max_examples=500, stateful_step_count=40, deadline=None)
