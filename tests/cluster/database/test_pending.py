"""What waits at a node for transactions over several partitions, and what does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from blockdb.cluster.database.context import as_request, reading
from blockdb.cluster.database.database import ReplicatedDatabase
from blockdb.cluster.database.opening import open_replicated
from blockdb.cluster.machine.commands import CommitPart, Finish, Prepare
from blockdb.cluster.machine.holding import key_of
from blockdb.cluster.machine.pending import Pending
from blockdb.cluster.partitions.committing import Ask
from blockdb.config import from_settings
from blockdb.errors import DuplicateKey, Unavailable
from tests.cluster.shared_log import SharedLog, SharedLogMember

T1 = b"1" * 16
Doing = Callable[[ReplicatedDatabase], Any]


class Nodes:
    """Two nodes of a partition, and a transaction that is pending there."""

    def __init__(self, root: Path, stack: ExitStack, patience_s: float = 30) -> None:
        shared = SharedLog()
        self.one, self.two = (
            stack.enter_context(
                open_replicated(
                    from_settings({"data_dir": str(root / f"{number}"), "blockchain_batch_size": 5}),
                    SharedLogMember(shared, f"node{number}"),
                    patience_s=patience_s,
                )
            )
            for number in range(2)
        )

    def prepare(self) -> None:
        """Have `k` be about to be stored."""
        part = CommitPart(key_of(self.one.id), ((b"k", b"of it"),))
        self._do(Prepare(T1, "there-1", (), (part,)))

    def finish(self, commit: bool) -> None:
        """Have it end."""
        self._do(Finish(T1, commit))

    def _do(self, content: Prepare | Finish) -> None:
        self.one._front.do(Ask("", content, T1).encoded(1_700_000_000_000, bytes(32))).result(30)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    with ExitStack() as stack:
        yield Nodes(tmp_path, stack)


def put_each(db: ReplicatedDatabase) -> Any:
    """The names of the requests make no difference."""
    return db.put_each([(b"j", b"1"), (b"k", b"2"), (b"l", b"3")], [b"n" * 32, None, None])


def put_named(db: ReplicatedDatabase) -> Any:
    with as_request(b"name"):
        first = db.put(b"k", b"1")
    with as_request(b"name"):
        assert db.put(b"k", b"1") == first
    return first


def read_and_commit(db: ReplicatedDatabase) -> Any:
    with db.transaction() as transaction:
        return transaction.get(b"k")


WAITING: list[tuple[Doing, bool, Any]] = [
    (lambda db: db.get(b"k"), True, b"of it"),
    (lambda db: db.exists(b"other"), True, False),
    (lambda db: list(db.scan()), False, []),
    (lambda db: db.put_many([(b"j", b""), (b"k", b"")]), False, range(2)),
    (put_each, False, [0, 2, 1]),
    (put_named, False, 0),
    (read_and_commit, True, b"of it"),
]


@pytest.mark.parametrize(
    ("doing", "commit", "expected"),
    [
        *WAITING[:2],
        *WAITING[4:5],
        *(pytest.param(*each, marks=pytest.mark.torture) for each in WAITING[2:4] + WAITING[5:]),
    ],
)
def test_who_waits_sees_how_it_has_ended(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, doing: Doing, commit: bool, expected: Any
) -> None:
    waits, wait = Event(), Pending.wait

    def waiting(pending: Pending, transactions: Iterable[bytes], until_s: float) -> bytes | None:
        wanted = list(transactions)
        if wanted:
            waits.set()
        return wait(pending, wanted, until_s)

    monkeypatch.setattr(Pending, "wait", waiting)
    nodes.prepare()
    with ThreadPoolExecutor() as pool:
        found = pool.submit(doing, nodes.two)
        assert waits.wait(30)
        nodes.finish(commit)
        assert found.result(30) == expected


def test_a_local_read_does_not_wait(nodes: Nodes) -> None:
    nodes.prepare()
    with reading("Local"):
        assert nodes.one.get(b"k") is None
    nodes.finish(commit=False)


def test_what_is_not_in_its_way_is_stored_at_once(nodes: Nodes) -> None:
    nodes.prepare()
    assert nodes.two.put(b"other", b"value") == 0
    nodes.finish(commit=True)
    with pytest.raises(DuplicateKey):
        nodes.two.put(b"k", b"value")


@pytest.mark.torture
def test_who_waits_too_long_is_told(tmp_path: Path) -> None:
    with ExitStack() as stack:
        nodes = Nodes(tmp_path, stack, patience_s=0.5)
        nodes.prepare()
        with pytest.raises(Unavailable, match="nothing was done"):
            nodes.one.put(b"k", b"value")
        with pytest.raises(Unavailable, match="was not decided"):
            nodes.one.get(b"k")
        nodes.finish(commit=False)
        assert nodes.one.put(b"k", b"value") == 0
