"""The comparison runs, and tells what it found as it is."""

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as comparison
from benchmarks.cases import CASES, Case, Finding, make_data
from benchmarks.report import save, table
from benchmarks.stores import PEERS


def test_it_runs_and_keeps_raw_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(comparison, "RESULTS", tmp_path / "results")
    assert comparison.main(["--records", "2000", "--rounds", "2", "--directory", str(tmp_path)]) == 0

    told = capsys.readouterr().out
    [kept] = (tmp_path / "results").iterdir()
    rounds = json.loads(kept.read_text())["rounds"]
    assert all(case.name in told for case in CASES)
    assert {"BlockDB", "SQLite"} <= set(rounds)
    assert set(rounds["BlockDB"]) == {case.name for case in CASES}
    assert all(len(values) == 2 and min(values) > 0 for cases in rounds.values() for values in cases.values())


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_database_refuses_a_duplicate(peer: comparison.Peer, tmp_path: Path) -> None:
    pytest.importorskip(peer.module)
    store = peer.open(tmp_path / "records", False)
    store.put(b"key", b"value")
    with pytest.raises(Exception, match=r"exists|UNIQUE"):
        store.put(b"key", b"other")
    with pytest.raises(Exception, match=r"exists|UNIQUE"):
        store.put_many([(b"key", b"other")])
    assert store.getter()(b"key") == b"value"
    store.close()


def test_ratios_are_above_one_where_blockdb_is_better() -> None:
    results = {
        "BlockDB": {"put": [300.0, 100.0, 200.0], "open": [2.0]},
        "RocksDB": {"put": [100.0], "open": [8.0]},
        "SQLite": {"put": [50.0], "open": [1.0]},
    }
    lines = table(results, [peer for peer in PEERS if peer.name in results], 3).splitlines()
    assert "200" in lines[3]
    assert "2.00  (RocksDB)" in lines[3]
    assert any("open" in line and "0.50  (SQLite)" in line for line in lines)


def test_units() -> None:
    assert Case("", "k/s").value(Finding("", 5_000, 2)) == 2.5
    assert Case("", "µs").value(Finding("", 100, 0.5)) == pytest.approx(5_000)
    assert Case("", "ms").value(Finding("", 1, 0.5)) == pytest.approx(500)


def test_the_same_seed_gives_the_same_records() -> None:
    assert make_data(100) == make_data(100)
    assert make_data(100) != make_data(100, seed=2)


def test_results_are_small(tmp_path: Path) -> None:
    results = {peer.name: {case.name: [123456.789] * 5 for case in CASES} for peer in PEERS}
    assert save(results, 1, tmp_path).stat().st_size < 10_000
