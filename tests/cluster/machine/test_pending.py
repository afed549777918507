"""Transactions over several partitions in one machine: what they keep others from, and how they end."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from blockdb.cluster.machine import commands
from blockdb.cluster.machine.commands import CommitPart, CommitRead, Content, Decide, Finish, Prepare
from blockdb.cluster.machine.deciding import YES
from blockdb.cluster.machine.machine import Machine
from blockdb.cluster.machine.pending import Blocked
from blockdb.errors import BlockDBError, Deadlock, DuplicateKey, InvalidData, TransactionClosed
from blockdb.format.applied import Applied, Begun, Decided, decode_applied
from blockdb.layout import DatabaseFiles
from tests.cluster.machine.world import SCHEMA, WIDER, Log, apply_all, machine_at, state_of, transferred

T1, T2 = b"1" * 16, b"2" * 16


class Run:
    """A log and a machine that applies it; each command's outcome, as whoever proposed it hears it."""

    def __init__(self, path: Path, **kind: Any) -> None:
        self.path = path
        self.log = Log(**kind)
        self.settings = {"encryption_enabled": True} if kind.get("encrypted") else {}
        self.machine = machine_at(path, **self.settings)
        apply_all(self.machine, self.log.commands)
        self.default = self.log.collections["default"]

    def do(self, content: Content, id_: bytes | None = None) -> Any:
        """The outcome of a command; what refuses it is raised."""
        self.log.add(content, id_)
        envelope, _ = commands.decode(self.log.commands[-1].data)
        digest = commands.digest_of(commands.lasting(content, bytes(envelope.content)))
        future = self.machine.outcomes.expect(envelope.id, digest)
        apply_all(self.machine, self.log.commands)
        return future.result(0)

    def of(self, content: Prepare | Decide | Finish) -> Any:
        """The outcome of a command of a transaction, whose id follows from that."""
        return self.do(content, sha256(content.transaction + type(content).__name__.encode()).digest()[:16])

    def prepare(self, transaction: bytes, *keys: bytes, home: str = "", reads: tuple[CommitRead, ...] = ()) -> Any:
        """Have a transaction prepared that stores keys."""
        parts = (CommitPart(self.default, tuple((key, b"of it") for key in keys)),) if keys else ()
        return self.of(Prepare(transaction, home, () if home else ("there-1",), parts, reads))

    def put(self, key: bytes, id_: bytes | None = None) -> Any:
        """Store a record."""
        return self.do(commands.Put(self.default, key, b"value"), id_)

    def reopen(self) -> None:
        """Close the machine, and open it again."""
        self.machine.close()
        self.machine = machine_at(self.path, **self.settings)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path / "db")
    yield run
    run.machine.close()


def read(run: Run, *keys: bytes, ranges: tuple[tuple[bytes, bytes | None], ...] = (), records: int = 0) -> CommitRead:
    return CommitRead(run.default, records, keys, ranges)


def test_what_was_prepared_is_stored_once_it_is_decided(run: Run) -> None:
    run.put(b"a")
    assert run.prepare(T1, b"k", b"l") == YES
    assert not run.machine.database.exists(b"k")
    assert run.of(Decide(T1, True)) == [True, [["default", 1, 2]]]
    assert run.machine.database.get(b"l") == b"of it"
    assert run.machine.pending.decided() == {T1: ("there-1",)}
    assert run.of(Decide(T1, False)) == [True, [["default", 1, 2]]]
    assert run.of(Finish(T1, True)) == []
    assert not run.machine.pending.decided()
    assert run.of(Decide(T1, False)) == [True, [["default", 1, 2]]]


def test_elsewhere_it_is_stored_when_the_home_has_decided(run: Run) -> None:
    run.prepare(T1, b"k", home="there-1")
    with pytest.raises(InvalidData, match="decided in there-1"):
        run.of(Decide(T1, True))
    assert run.of(Finish(T1, True)) == [["default", 0, 1]]
    assert run.of(Finish(T1, True)) == [["default", 0, 1]]
    assert run.machine.database.get(b"k") == b"of it"


def test_the_home_ends_nothing_that_is_not_decided(run: Run) -> None:
    run.prepare(T1, b"k")
    with pytest.raises(InvalidData, match="decided here before"):
        run.of(Finish(T1, True))
    assert run.machine.pending.homes() == {T1: ""}


def test_the_first_decision_counts(run: Run) -> None:
    run.prepare(T1, b"k")
    assert run.of(Decide(T1, False)) == [False, []]
    assert run.of(Decide(T1, True)) == [False, []]
    assert not run.machine.database.exists(b"k")
    assert run.put(b"k") == 0


@pytest.mark.parametrize("end", [Decide(T1, False), Finish(T1, False), Decide(T1, True)])
def test_what_was_ended_before_it_came_is_never_prepared(run: Run, end: Decide | Finish) -> None:
    run.of(end)
    run.reopen()
    with pytest.raises(TransactionClosed):
        run.prepare(T1, b"k")
    assert not run.machine.pending
    run.put(b"k")


def test_a_message_that_comes_late_does_not_bring_it_back(run: Run) -> None:
    run.prepare(T1, b"k", home="there-1")
    assert run.prepare(T1, b"k", home="there-1") == YES
    run.of(Finish(T1, False))
    run.prepare(T1, b"k", home="there-1")
    run.log.again(-1)
    apply_all(run.machine, run.log.commands)
    assert not run.machine.pending


def test_a_home_that_has_refused_has_decided(run: Run) -> None:
    run.put(b"k")
    with pytest.raises(DuplicateKey):
        run.prepare(T1, b"k")
    assert run.of(Decide(T1, True)) == [False, []]


def test_homes_remember_what_they_refused(run: Run) -> None:
    run.prepare(T1, b"k", home="there-1")
    assert run.prepare(T2, b"k") == T1
    assert run.machine.pending.is_aborted(T2)


def test_what_was_read_has_to_be_so_still(run: Run) -> None:
    run.put(b"k")
    with pytest.raises(Deadlock):
        run.prepare(T1, reads=(read(run, b"k"),), home="there-1")
    with pytest.raises(Deadlock):
        run.prepare(T2, b"x", reads=(read(run, ranges=((b"j", b"l"),)),))
    assert not run.machine.pending


def conflicts(run: Run) -> list[Content]:
    """What is in the way of a transaction that stores `k`, has missed `m`, and has looked from `p` to `q`."""
    commit = commands.Commit((CommitPart(run.default, ((b"free", b""),)),), (read(run, b"k"),))
    return [
        commands.Put(run.default, b"k", b""),
        commands.Put(run.default, b"m", b""),
        commands.Put(run.default, b"pp", b""),
        commands.PutMany(run.default, ((b"free", b""), (b"k", b""))),
        commit,
        commands.Redact(run.default, "me", (b"k",), "asked for"),
        commands.SetSchema(run.default, "me", WIDER),
        commands.CreateIndex(run.default, "me", "one", ("n",)),
    ]


@pytest.mark.parametrize("number", range(8))
def test_whoever_is_in_its_way_waits_and_goes_by_the_same_id(tmp_path: Path, number: int) -> None:
    run = Run(tmp_path / "db", redactable=True)
    reads = (read(run, b"m", ranges=((b"p", b"q"),)),)
    run.prepare(T1, b"k", reads=reads, home="there-1")
    content, id_ = conflicts(run)[number], b"i" * 16
    before = run.machine.database.next_sequence
    with pytest.raises(Blocked) as caught:
        run.do(content, id_)
    assert (caught.value.transaction, run.machine.database.next_sequence) == (T1, before)
    assert id_ not in run.machine.outcomes
    run.of(Finish(T1, False))
    try:
        run.do(content, id_)
    except BlockDBError as error:
        assert isinstance(content, commands.Redact), error  # noqa: PT017
    assert id_ in run.machine.outcomes
    run.machine.close()


def test_who_is_not_in_its_way_does_not_wait(run: Run) -> None:
    run.prepare(T1, b"k", reads=(read(run, b"m", ranges=((b"p", b"q"),)),), home="there-1")
    run.put(b"q")
    run.put(b"l")
    assert run.prepare(T2, b"n", reads=(read(run, b"m", records=2),)) == YES
    run.do(commands.Commit((CommitPart(run.default, ((b"o", b""),)),), (read(run, b"m", records=2),)))


def test_transactions_that_cross_are_refused_for_good(run: Run) -> None:
    run.prepare(T1, b"k", reads=(read(run, b"m"),), home="there-1")
    assert run.prepare(T2, b"m") == T1
    run.of(Finish(T1, True))
    assert run.prepare(T2, b"m") == T1
    assert run.of(Decide(T2, True)) == [False, []]


def test_what_reads_what_is_about_to_come_is_refused(run: Run) -> None:
    run.prepare(T1, b"k", home="there-1")
    assert run.prepare(T2, b"x", reads=(read(run, b"k"),)) == T1
    with pytest.raises(Blocked):
        run.machine.check_current([read(run, ranges=((b"", None),))])


def test_unique_values_are_kept_for_it(run: Run) -> None:
    run.log.create("users", SCHEMA)
    apply_all(run.machine, run.log.commands)
    run.default = users = run.log.collections["users"]
    part = CommitPart(users, ((b"one", b'{"n":1}'),))
    run.of(Prepare(T1, "there-1", (), (part,)))
    with pytest.raises(Blocked):
        run.do(commands.Put(users, b"other", b'{"n":1}'))
    with pytest.raises(Blocked):
        run.do(commands.DropCollection(users, "me"))
    assert run.of(Finish(T1, True)) == [["users", 0, 1]]


@pytest.mark.parametrize("kind", [{}, {"redactable": True, "encrypted": True}])
def test_restarts_and_copies_keep_it(tmp_path: Path, kind: dict[str, Any]) -> None:
    run = Run(tmp_path / "db", **kind)
    run.prepare(T1, b"decided")
    run.of(Decide(T1, True))
    run.prepare(T2, b"secret key", home="there-1")
    before = run.machine.pending.all()
    assert (len(before.pending), before.decided) == (1, (Decided(T1, ("there-1",)),))
    run.machine.make_durable()
    (file,) = DatabaseFiles(run.path).raft.root.glob("*.pending")
    assert (b"secret key" in file.read_bytes()) == (not kind)
    run.reopen()
    assert run.machine.pending.all() == before
    other = machine_at(tmp_path / "other", **run.settings)
    transferred(run.machine, other)
    assert other.pending.all() == before
    run.of(Finish(T2, True))
    run.of(Finish(T1, True))
    apply_all(other, run.log.commands)
    assert state_of(other) == state_of(run.machine)
    for machine in (run.machine, other):
        assert machine.database.get(b"secret key") == b"of it"
        machine.close()
    assert not list(DatabaseFiles(run.path).raft.root.glob("*.pending"))


def test_marks_from_before_there_were_such_transactions_are_read() -> None:
    old = (
        "426c6f636b4442206170706c69656431ea4e27dbefc6c20f9607cf0000018bcfe5680081c41000112233445566778899aabbccddeeff01"
        "9101c000"
    )
    found = decode_applied(bytes.fromhex(old))
    assert (found.index, found.outcomes, found.pending) == (7, (1,), 0)
    assert found == Applied(7, found.time_ms, found.counts, (1,))
    assert isinstance(found.begun, Begun | None)


def test_who_waits_goes_on_when_it_has_ended(run: Run) -> None:
    run.prepare(T1, b"k", home="there-1")
    pending: Machine = run.machine
    assert pending.pending.wait([T1, T2], 0) == T1
    run.of(Finish(T1, True))
    assert pending.pending.wait([T1, T2], 0) is None
