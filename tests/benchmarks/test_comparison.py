"""The comparison runs, and tells what it found as it is. What it found is no test's business."""

import json
import zlib
from itertools import islice
from pathlib import Path

import pytest

from benchmarks import __main__ as comparison
from benchmarks.commits import commits
from benchmarks.data import make_data
from benchmarks.lines import OURS, Goal, Line
from benchmarks.memory import peaks
from benchmarks.prepared import fill
from benchmarks.report import save, table, verdict
from benchmarks.stores import PEERS, Peer, Setup

RATE = Line("put", "k/s", (Goal(1.5, ("RocksDB", "LMDB")),))
TIME = Line("first", "µs", (Goal(3, ("LMDB",)),))
SIZE = Line("disk", "B/B", (Goal(1.3),))

each_peer = pytest.mark.parametrize(
    "peer", [pytest.param(peer, id=name.replace(" ", "-")) for name, peer in PEERS.items()]
)


@pytest.mark.torture
def test_a_whole_run_has_every_line_and_keeps_raw_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(comparison, "RESULTS", tmp_path / "results")
    assert comparison.main(["--records", "500", "--rounds", "1", "--directory", str(tmp_path)]) == 0

    told = capsys.readouterr().out
    [kept] = (tmp_path / "results").iterdir()
    rounds = json.loads(kept.read_text())["rounds"]
    _, lines = comparison.chosen([])
    for line in lines:
        assert line.name in told
        assert line.name in rounds or f"{line.unit}         -  not measured" in told
    assert all(len(values) == 1 and values[0] > 0 for who in rounds.values() for values in who.values())
    assert {OURS, "hashlib"} == set(rounds["verify on both cores"])
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_part_of_it_can_be_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--records", "100", "--rounds", "2", "--directory", str(tmp_path), "--only", "OPEN", "disk, no"]
    assert comparison.main(arguments) == 0
    told = capsys.readouterr().out
    assert "open, empty log" in told
    assert "disk, no compression" in told
    assert "put_many" not in told
    with pytest.raises(SystemExit, match="2"):
        comparison.main(["--only", "nothing of that name"])


def test_what_takes_minutes_is_held_on_request() -> None:
    names = [line.name.strip() for line in comparison.chosen([])[1]]
    with_long = [line.name.strip() for line in comparison.chosen([], is_long=True)[1]]
    assert [name for name in with_long if name not in names] == [
        "cluster, new leader, p99",
        "cluster, new leader, slowest",
        "memory, writing 10 M records",
        "without mapped files",
        "of all its helper processes",
    ]


@each_peer
def test_databases_answer_alike(peer: Peer, tmp_path: Path) -> None:
    pytest.importorskip(peer.module)
    data = make_data(300)
    known = dict(data.pairs)
    with_records, path = sorted(known.items()), tmp_path / "records"
    store = peer.open(path, Setup())
    fill(store, data.pairs[:200])
    for key, value in data.pairs[200:]:
        store.put(key, value)
    store.flush()
    store.close()

    store = peer.open(path, Setup())
    store.compact()
    assert [store.get(key) for key in known] == list(known.values())
    assert not any(map(store.exists, data.absent))
    assert [store.get(key) for key in data.absent[:3]] == [None] * 3
    assert list(store.scan()) == with_records
    for start in data.starts[:5]:
        assert list(store.first(start, 7)) == list(islice((item for item in with_records if item[0] >= start), 7))
    store.close()


@each_peer
@pytest.mark.parametrize("forced", [False, True], ids=["written", "forced"])
def test_databases_refuse_duplicates(peer: Peer, forced: bool, tmp_path: Path) -> None:
    pytest.importorskip(peer.module)
    if "unchecked" in peer.name:
        pytest.skip("it says so in its name")
    store = peer.open(tmp_path / "records", Setup(forced=forced))
    store.put(b"key", b"value")
    with pytest.raises(Exception, match=r"exists|UNIQUE"):
        store.put(b"key", b"other")
    with pytest.raises(Exception, match=r"exists|UNIQUE"):
        store.put_many([(b"key", b"other")])
    store.close()

    store = peer.open(tmp_path / "records", Setup(forced=forced))
    assert store.get(b"key") == b"value"
    store.close()


def test_a_goal_is_held_against_the_best_of_its_peers() -> None:
    assert verdict(RATE, RATE.goals[0], {OURS: 300, "RocksDB": 100, "LMDB": 200, "SQLite": 900}) == (1.5, True)
    assert verdict(RATE, RATE.goals[0], {OURS: 299, "RocksDB": 100, "LMDB": 200})[1] is False
    assert verdict(TIME, TIME.goals[0], {OURS: 60, "LMDB": 20}) == (3, True)
    assert verdict(TIME, TIME.goals[0], {OURS: 61, "LMDB": 20})[1] is False
    assert verdict(SIZE, SIZE.goals[0], {OURS: 1.3, "LMDB": 1.0}) == (1.3, True)


def test_there_is_no_verdict_where_a_peer_is_missing() -> None:
    assert verdict(RATE, RATE.goals[0], {OURS: 300, "RocksDB": 100}) == (None, None)
    assert verdict(SIZE, SIZE.goals[0], {"LMDB": 1.0}) == (None, None)


def test_the_table_tells_medians_and_why_something_is_missing() -> None:
    results = {"put": {OURS: [300.0, 100.0, 290.0], "RocksDB": [100.0], "LMDB": [200.0]}}
    told = table(results, [RATE, TIME], {"first": "no range here"}, 3)
    [put] = [" ".join(line.split()) for line in told.splitlines() if line.startswith("put")]
    assert put == "put k/s 290 1.45 ≥ 1.5 × best of RocksDB, LMDB no RocksDB 100 · LMDB 200"
    assert "not measured: no range here" in told


@pytest.mark.parametrize(
    ("unit", "amount", "elapsed_s", "value"), [("k/s", 5_000, 2, 2.5), ("µs", 100, 0.5, 5_000), ("ms", 1, 0.5, 500)]
)
def test_units(unit: str, amount: int, elapsed_s: float, value: float) -> None:
    assert Line("", unit).finding(amount, elapsed_s).value == pytest.approx(value)


def test_the_same_seed_gives_the_same_records() -> None:
    assert make_data(100) == make_data(100)
    assert make_data(100) != make_data(100, seed=2)


def test_commits_are_the_same_each_time_and_no_easier_to_compress_than_real_ones() -> None:
    pairs = list(commits(1_000))
    assert pairs == list(commits(1_000))
    assert len(dict(pairs)) == 1_000
    assert all({"author", "message", "parents", "committed_at"} <= json.loads(value).keys() for _, value in pairs)
    text = b"".join(key + value for key, value in pairs)
    parts = [text[n : n + 65_536] for n in range(0, len(text), 65_536)]
    assert 0.18 < sum(len(zlib.compress(part, 6)) for part in parts) / len(text) < 0.25


def test_memory_is_watched(tmp_path: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("there is no /proc")
    found = peaks(tmp_path / "records", 5_000)
    assert 0 < found.resident_mb < 200
    assert found.own_mb >= 0


def test_results_are_small(tmp_path: Path) -> None:
    sessions, lines = comparison.chosen([], is_long=True)
    takers = {line.name: session.takers for session in sessions for line in session.lines}
    results = {line: {name: [123456.789] * 5 for name in names} for line, names in takers.items()}
    assert save(results, lines, 1, tmp_path).stat().st_size < 60_000
