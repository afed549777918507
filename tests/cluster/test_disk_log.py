"""The log of consensus on the disk: what it holds, what it refuses, what it does about damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.cluster.consensus.disk import DiskLog
from blockdb.errors import BlockDBError, ConfigError, Corruption
from blockdb.format.consensus import Entry, HardState, Kind
from blockdb.format.mark import Mark
from blockdb.format.mark import encode as encode_mark
from blockdb.raft.messages import SnapshotHead
from blockdb.storage.door import Door
from tests.cluster.disk_model import (
    CLUSTER,
    MEMBERS,
    NODE,
    Model,
    Step,
    a_life,
    entry,
    files_in,
    open_log,
    sealed,
    small_files,
    take,
)
from tests.storage.doors import StillDoor
from tests.tiers import tiers


@pytest.fixture(autouse=True)
def _small_files() -> Iterator[None]:
    with small_files():
        yield


DOORS: dict[str, Callable[[], Door]] = {"plain": StillDoor, "sealed": lambda: sealed(StillDoor())}

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["store", "store", "store", "store", "force", "compact", "begin anew", "open"]),
        st.integers(0, 40),
        st.integers(0, 29),
    ),
    max_size=25,
)


def check_steps(steps: list[Step], door: Door) -> None:
    with TemporaryDirectory() as directory:
        log, model = open_log(Path(directory), door), Model()
        for step in steps:
            if step[0] == "open":
                log.close()
                log = open_log(Path(directory), door)
                assert not log.is_damaged
            take(step, log, model)
            assert not model.differs(log)
        log.close()
        log = open_log(Path(directory), door)
        assert not model.differs(log)
        assert not log.is_damaged
        log.close()


@given(steps=STEPS)
@settings(max_examples=15, deadline=None)
def test_it_holds_what_a_list_would(steps: list[Step]) -> None:
    check_steps(steps, StillDoor())


@given(steps=STEPS)
@settings(max_examples=4, deadline=None)
def test_it_does_so_sealed(steps: list[Step]) -> None:
    check_steps(steps, sealed(StillDoor()))


@pytest.mark.torture
@given(steps=STEPS, is_sealed=st.booleans())
@settings(max_examples=1_500, deadline=None)
def test_it_does_so_for_long(steps: list[Step], is_sealed: bool) -> None:
    check_steps(steps, sealed(StillDoor()) if is_sealed else StillDoor())


def test_entries_come_in_parts(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.store(HardState(1), [Entry(index, 1, Kind.COMMAND, bytes(100)) for index in range(1, 31)])
    assert [one.index for one in log.entries(1, 30, 250)] == [1, 2]
    assert [one.index for one in log.entries(1, 30, 0)] == [1]
    assert [one.index for one in log.entries(28, 30, 1_000)] == [28, 29, 30]
    assert log.entries(31, 30) == []
    for first, last in [(0, 3), (30, 31), (32, 31)]:
        with pytest.raises(LookupError):
            log.entries(first, last)
    with pytest.raises(ValueError):
        log.store(None, [entry(40, 1)])
    with pytest.raises(ValueError):
        log.store(None, [entry(31, 1), entry(33, 1)])
    with pytest.raises(LookupError):
        log.compact(SnapshotHead(30, 2, MEMBERS))
    log.compact(SnapshotHead(30, 1, MEMBERS))
    assert (log.first_index, log.last_index, log.term(30)) == (31, 30, 1)
    with pytest.raises(LookupError):
        log.term(29)
    log.close()


def test_whole_files_go_when_they_are_not_needed(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for index in range(1, 101):
        log.store(HardState(1, NODE, index - 1), [entry(index, 1, 60)])
    assert len(list(files_in(tmp_path).root.glob("*.log"))) > 10
    log.compact(SnapshotHead(98, 1, MEMBERS))
    assert len(list(files_in(tmp_path).root.glob("*.log"))) <= 2
    log.compact(SnapshotHead(100, 1, MEMBERS))
    log.close()
    log = open_log(tmp_path)
    assert log.hard_state == HardState(1, NODE, 100)
    log.close()


def test_a_foreign_directory_is_refused(tmp_path: Path) -> None:
    open_log(tmp_path).close()
    for cluster, node in [(CLUSTER, "node2"), ("c2", NODE)]:
        with pytest.raises(ConfigError, match="belongs to the node 'node1' of the cluster 'c1'"):
            DiskLog.open(StillDoor(), files_in(tmp_path), cluster, node)


def test_a_log_that_was_wiped_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="let it join anew"):
        DiskLog.open(StillDoor(), files_in(tmp_path), CLUSTER, NODE, must_exist=True)
    log = open_log(tmp_path)
    log.store(HardState(1), [entry(1, 1)])
    incarnation = log.incarnation
    log.close()
    files_in(tmp_path).id.unlink()
    with pytest.raises(Corruption, match="there is a log"):
        open_log(tmp_path)
    shutil.rmtree(files_in(tmp_path).root)
    again = open_log(tmp_path)
    assert again.incarnation != incarnation
    again.close()


# ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────


def made(root: Path, door: Door, *, is_closed: bool) -> Model:
    """A log of some files, of which the first ones were removed."""
    model, log = Model(), open_log(root, door)
    for step in [*a_life(2, 14), ("compact", 9, 0), *a_life(3, 10)]:
        if step[0] != "begin anew":
            take(step, log, model)
    take(("store", 0, 11), log, model)
    log.force()
    if is_closed:
        log.close()
    else:
        kept = root.with_name(root.name + "-kept")
        shutil.copytree(root, kept)
        log.close()
        shutil.rmtree(root)
        kept.rename(root)
    return model


def lies_of(root: Path, model: Model, door: Door) -> str:
    """What is wrong about how a damaged log opens. Either it is refused, or it says what was lost, and for whom the
    node voted in any case.
    """
    try:
        log = open_log(root, door)
    except BlockDBError:
        return ""
    found, state = log.last_index, log.hard_state
    entries = log.entries(log.first_index, found)
    is_damaged, first_damaged = log.is_damaged, log.first_damaged
    log.close()
    if (state.term, state.vote) != (model.state.term, model.state.vote):
        return "another vote"
    if is_damaged:
        kept = [one for one in entries if one not in model.entries]
        if any(one.term >= model.state.term for one in kept):
            return "entries that nobody wrote"
        if not list(files_in(root).root.glob("*.damaged-*")) and found < model.last:
            return "nothing was set aside"
    elif model.differs(log):
        return model.differs(log)
    again = open_log(root, door)
    same = (again.last_index, again.is_damaged, again.first_damaged) == (found, is_damaged, first_damaged)
    again.store(None, [entry(again.last_index + 1, state.term)])
    again.close()
    return "" if same else "another answer when it is opened again"


BROKEN = [("plain", False, 97), ("sealed", True, 301)]
ALL_BROKEN = [
    pytest.param(name, is_closed, 1, marks=pytest.mark.torture) for name in DOORS for is_closed in (True, False)
]


@pytest.mark.parametrize(("name", "is_closed", "step"), [*BROKEN, *ALL_BROKEN])
def test_every_byte_that_is_flipped(name: str, is_closed: bool, step: int, tmp_path: Path) -> None:
    model = made(tmp_path / "made", DOORS[name](), is_closed=is_closed)
    lies, number = [], 0
    for path in sorted(files_in(tmp_path / "made").root.iterdir()):
        for at in range(number % step, path.stat().st_size, step):
            root = tmp_path / "broken"
            shutil.copytree(tmp_path / "made", root)
            data = bytearray(path.read_bytes())
            data[at] ^= 1 << (number % 8)
            (files_in(root).root / path.name).write_bytes(data)
            lie = lies_of(root, model, DOORS[name]())
            lies += [f"{path.name} {at}: {lie}"] if lie else []
            shutil.rmtree(root)
            number += 1
    assert not lies


@pytest.mark.parametrize("is_closed", tiers([False], [True]))
def test_every_file_that_is_cut_or_gone(is_closed: bool, tmp_path: Path) -> None:
    model = made(tmp_path / "made", StillDoor(), is_closed=is_closed)
    lies = []
    for path in sorted(files_in(tmp_path / "made").root.iterdir()):
        for size in (None, 0, 60, 61, path.stat().st_size // 2, path.stat().st_size - 1):
            root = tmp_path / "broken"
            shutil.copytree(tmp_path / "made", root)
            broken = files_in(root).root / path.name
            if size is None:
                broken.unlink()
            else:
                broken.write_bytes(path.read_bytes()[:size])
            lie = lies_of(root, model, StillDoor())
            lies += [f"{path.name} {size}: {lie}"] if lie else []
            shutil.rmtree(root)
    assert not lies


def test_damage_is_set_aside_until_it_is_mended(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for index in range(1, 31):
        log.store(HardState(3, "node2", index - 1), [entry(index, 3, 60)])
    log.force()
    log.close()
    second = files_in(tmp_path).file(1)
    whole = second.read_bytes()
    second.write_bytes(whole[:200] + b"?" + whole[201:])
    log = open_log(tmp_path)
    first = log.first_damaged
    assert first is not None
    assert 1 < first == log.last_index + 1 < 30
    assert isinstance(log.damage, Corruption)
    assert log.damage.path == str(second)
    assert log.hard_state == HardState(3, "node2", first - 2)
    assert second.with_name(f"{second.name}.damaged-0").read_bytes()[:60] == whole[:60]
    log.store(None, [entry(first, 4)])
    log.close()
    log = open_log(tmp_path)
    assert (log.is_damaged, log.first_damaged, log.damage, log.last_index) == (True, first, None, first)
    log.mended()
    assert not log.is_damaged
    log.close()
    log = open_log(tmp_path)
    assert not log.is_damaged
    log.close()


def test_nobody_votes_who_knows_no_more_for_whom(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.store(HardState(3, "node2"), [entry(1, 3)])
    log.close()
    files_in(tmp_path).state.write_bytes(b"")
    path = files_in(tmp_path).file(0)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(Corruption, match="let it join anew"):
        open_log(tmp_path)


def test_after_a_power_cut_a_later_force_tells_of_damage(tmp_path: Path) -> None:
    """The mark may be older than the log then; a batch that was written after a force knows better."""
    log = open_log(tmp_path)
    ends = []
    for index in range(1, 4):
        log.store(HardState(1), [entry(index, 1)])
        log.force()
        ends.append(files_in(tmp_path).file(0).stat().st_size)
    log.close()
    files = files_in(tmp_path)
    old = encode_mark(Mark(log.incarnation, bytes(15) + b"9", 60, 60, clean=False))
    whole = files.file(0).read_bytes()
    for at in range(60, len(whole), 7):
        files.file(0).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        files.mark.write_bytes(old)
        found = open_log(tmp_path)
        is_last = at >= ends[1]
        assert (found.is_damaged, found.last_index) == (not is_last, sum(at >= end for end in ends)), at
        found.close()
        files.mending.unlink(missing_ok=True)


def test_readers_are_not_in_the_way(tmp_path: Path) -> None:
    """A thread reads everything, again and again, while another one stores, replaces and removes entries."""
    log = open_log(tmp_path)
    log.store(HardState(1), [entry(index, 1) for index in range(1, 10)])
    wrong: list[object] = []
    done = False

    def read() -> None:
        while not done:
            try:
                first, last = log.first_index, log.last_index
                found = log.entries(first, last)
                log.term(last)
            except LookupError:
                continue  # it was removed or replaced meanwhile
            except BlockDBError as error:
                wrong.append(error)
                return
            wrong.extend(one for number, one in enumerate(found, first) if one != entry(number, one.term))

    threads = [Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for term in range(2, 60):
        first = log.last_index - term % 3
        log.store(HardState(term), [entry(first + at, term) for at in range(7)])
        if term % 5 == 0:
            log.compact(SnapshotHead(first, log.term(first), MEMBERS))
    done = True
    for thread in threads:
        thread.join()
    assert not wrong
    log.close()
