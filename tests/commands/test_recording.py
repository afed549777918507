"""Recordings: what is kept, what is not, how fast; read again, and told; made by `blockdb record`."""

from __future__ import annotations

import json
import signal
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import blockdb
from blockdb.commands.recordings.events import Note
from blockdb.commands.recordings.keeping import MOST_BYTES_PER_S, Keeper
from blockdb.commands.recordings.reading import read_recording
from blockdb.commands.recordings.snapshots import Unpacker, packed, patch_of, patched
from tests.tui.fake import NOW_MS
from tests.tui.recorded import GOLDEN, SECRET, keep, statistics, steps

from .conftest import Run
from .test_process import Start, ended, start

__all__ = ["start"]

V1, V2 = GOLDEN / "cluster-v1.jsonl", GOLDEN / "everything-v2.jsonl"


# ── the file ──


def test_the_same_minute_makes_the_same_file_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    keeper = keep(path)
    assert keeper.size_bytes == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made = path.read_text().replace(f'"program":"{blockdb.__version__}"', '"program":"0.1.0"')
    assert made == V2.read_text()
    with pytest.raises(FileExistsError):
        keep(path)


def test_no_key_and_no_value_is_kept_anywhere(tmp_path: Path) -> None:
    assert any(SECRET in str(item) for _, item in steps())
    text = keep(tmp_path / "kept.jsonl").path.read_text()
    assert "alice" not in text
    assert text.count("its words are not recorded") >= 2


def test_what_was_kept_is_read_again_as_it_was(tmp_path: Path) -> None:
    recording = read_recording(keep(tmp_path / "kept.jsonl").path)
    taken = [item for what, item in steps() if what == "statistics"]
    assert [time_ms for time_ms, _, _ in recording.moments()] == [time_ms for time_ms, _, _ in taken]
    for (_, name, moment), (_, was, then) in zip(recording.moments(), taken, strict=True):
        now = moment.statistics
        assert name == was
        assert (now.records, now.put_latency, now.tables) == (then.records, then.put_latency, then.tables)
        assert now.transactions == then.transactions
        assert len(now.scrub.problems) == len(then.scrub.problems)
        assert (now.background_failure is None) == (then.background_failure is None)
    assert recording.samples == [item for what, item in steps() if what == "sample"]
    kinds = {event.kind for event in recording.events}
    assert kinds >= {"opened", "sealed", "flush", "stall", "failing", "mending", "damage", "alert", "calm", "verified"}
    assert kinds >= {"leader", "election", "vote", "fault"}


def test_the_history_of_a_moment_is_what_the_explorer_had_then() -> None:
    recording = read_recording(V2)
    time_ms = recording.first_ms + 30_000
    history = recording.history_at(time_ms)
    assert history.latest is recording.moment_at(time_ms)
    assert history.added == len(history.moments) == 31
    assert history.latest.writes_per_s == 8.0
    assert recording.collection_at(recording.last_ms) == "orders"
    assert recording.history_at(recording.last_ms).added == 4, "of another collection it begins anew"
    assert [alert.name for alert in recording.alerts_at(time_ms - 4_000)] == ["disk_space", "scrub_problems"]
    assert recording.alerts_at(time_ms + 2_000) == ()


def test_events_that_happen_all_the_time_are_passed_over() -> None:
    recording = read_recording(V2)
    at, found = recording.first_ms - 1, []
    while (event := recording.next_event(at)) is not None:
        at = event.time_ms
        found.append(event.kind)
    assert found
    assert not {"sealed", "flush"} & set(found)
    assert recording.previous_event(recording.first_ms) is None


def test_a_file_that_was_cut_anywhere_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole, path = V2.read_bytes(), tmp_path / "cut.jsonl"
    count = len(list(read_recording(V2).moments()))
    for length in range(len(whole) - 1, 4_000, -1_777):
        path.write_bytes(whole[:length])
        assert len(list(read_recording(path).moments())) <= count


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"line":"metrics","time_ms":1,"statistics":{"records":1}}', "there is no"),
        ('{"line":"metrics","time_ms":1,"statistics":[]}', "line 2"),
        ('{"line":"metrics","time_ms":-1,"statistics":{}}', "line 2"),
        ("WHOLE records -1", "out of range"),
        ("WHOLE records 1e300", "out of range"),
        ('WHOLE records "1"', "records"),
        ("WHOLE tables [1]", "tables"),
        ('WHOLE tables {"a":[1,2]}', "tables"),
        ('WHOLE put_latency {"buckets":{"99999":1}}', "no such bucket"),
        ('WHOLE put_latency {"buckets":{"x":1}}', "put_latency"),
        ('WHOLE transactions {"wait_latency":7}', "transactions"),
        ('WHOLE head_hash "zz"', "head_hash"),
        ("WHOLE scrub 7", "scrub"),
        ("{" + '"a":[' * 5_000, "line 2"),
    ],
)
def test_a_line_that_cannot_be_is_refused_with_its_number(tmp_path: Path, line: str, words: str) -> None:
    if line.startswith("WHOLE"):
        _, name, value = line.split(" ", 2)
        plain = json.dumps(packed(statistics(3)))
        line = f'{{"line":"metrics","time_ms":1,"statistics":{{{plain[1:-1]},"{name}":{value}}}}}'
    path = tmp_path / "odd.jsonl"
    path.write_text('{"line":"recording","format":"blockdb recording","version":2}\n' + line + "\n")
    with pytest.raises(blockdb.InvalidData, match=words) as refused:
        read_recording(path)
    assert "line 2" in str(refused.value)


_json = st.recursive(
    st.integers(0, 9) | st.text(max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=6,
)
_objects = st.dictionaries(st.sampled_from("abcd"), _json, max_size=4)


@settings(max_examples=40)
@given(_objects, _objects)
def test_a_change_is_told_and_made_again(before: dict[str, object], now: dict[str, object]) -> None:
    assert patched(before, patch_of(before, now)) == now


def test_a_snapshot_becomes_json_and_a_snapshot_again() -> None:
    for step in (0, 3, 42, 58):
        found = Unpacker().statistics(json.loads(json.dumps(packed(statistics(step)))))
        assert packed(found) == packed(statistics(step))


def test_what_comes_too_fast_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    keeper = Keeper(path, "", NOW_MS)
    words = "x" * 200
    seconds = 60
    for number in range(seconds * 1_000):
        keeper.take_event(Note(NOW_MS + number, "sealed", words))
    keeper.take_statistics(NOW_MS + seconds * 1_000 + 5_000, "default", statistics(1))
    keeper.close()
    assert path.stat().st_size <= (seconds + 5) * MOST_BYTES_PER_S + (256 << 10)
    recording = read_recording(path)
    assert len(recording.events) + recording.left_out == seconds * 1_000 + 1


def test_four_samples_a_second_are_kept_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    keeper = Keeper(path, "", NOW_MS)
    for number in range(100):
        keeper.take_statistics(NOW_MS + 10 * number, "default", statistics(number))
    keeper.close()
    assert len(list(read_recording(path).moments())) == 4


def test_a_recording_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb.commands.recordings.keeping.MOST_BYTES", 20_000)
    keeper = Keeper(tmp_path / "kept.jsonl", "", NOW_MS)
    for number in range(200):
        keeper.take_statistics(NOW_MS + 250 * number, "default", statistics(number))
    assert keeper.is_full
    keeper.close()
    assert (tmp_path / "kept.jsonl").stat().st_size <= 20_000


# ── told ──


def test_both_versions_are_told_in_order_and_at_once(run: Run) -> None:
    told = run("replay", str(V2), "--format", "table")
    assert (told.code, told.err) == (0, "")
    lines = told.out.decode().splitlines()
    assert [line[:12] for line in lines] == sorted(line[:12] for line in lines)
    assert "node2      ◆ leader      node2 leads · term 2" in told.out.decode()
    assert "default    ✗ failing     memtables are not written, or tables not merged" in told.out.decode()
    rows = [json.loads(line) for line in run("replay", str(V2)).out.splitlines()]
    assert len(rows) == len(lines)
    assert sum(row["line"] == "metrics" for row in rows) == sum(row["line"] == "cluster" for row in rows) == 60
    old = run("replay", str(V1), "--from", "0:10", "--to", "30", "--format", "jsonl")
    found = [json.loads(line) for line in old.out.splitlines()]
    assert {row["line"] for row in found} == {"cluster", "event"}
    assert found[-1]["time_ms"] - found[0]["time_ms"] <= 20_000


def test_it_is_told_as_fast_as_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    now_s = [0.0]

    class Waiting:
        def wait(self, seconds: float) -> None:
            waited.append(seconds)
            now_s[0] += seconds

    monkeypatch.setattr("blockdb.commands.recording.Event", Waiting)
    monkeypatch.setattr("blockdb.commands.recording.time.monotonic", lambda: now_s[0])
    assert run("replay", str(V2), "--speed", "4", "--to", "20").code == 0
    assert sum(waited) == pytest.approx(5.0, abs=0.3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("replay", "nowhere.jsonl"), "IoError: nowhere.jsonl cannot be read"),
        (("replay", str(V2), "--from", "soon"), "no time such as"),
        (("replay", str(V2), "--speed", "0"), "not a number above 0"),
        (("replay", __file__), "this is no recording"),
    ],
)
def test_what_cannot_be_told_is_refused_in_words(run: Run, words: tuple[str, ...], message: str) -> None:
    done = run(*words)
    assert done.code != 0
    assert message in done.err


# ── made without the explorer ──


def test_a_database_is_recorded_beside_its_writer_and_nothing_is_overwritten(run: Run, here: Path) -> None:
    with blockdb.open(here / "blockdb_data") as db:
        db.put(b"secret", b"hidden")
    done = run("record", "kept.jsonl", "--seconds", "0.3")
    assert (done.code, done.err) == (0, "")
    recording = read_recording(here / "kept.jsonl")
    assert recording.has_metrics
    [opened] = recording.events
    assert opened.what == "1 record in 0 blocks"
    kept = (here / "kept.jsonl").read_text()
    assert "secret" not in kept
    assert "hidden" not in kept
    again = run("record", "kept.jsonl")
    assert "is there already" in again.err
    assert (here / "kept.jsonl").read_text() == kept
    assert "cannot be written" in run("record", "nowhere/kept.jsonl").err


@pytest.mark.torture
def test_whoever_kills_it_has_a_recording(start: Start, here: Path) -> None:
    with blockdb.open(here / "blockdb_data") as db:
        db.put(b"a", b"b")
    process = start("record", "kept.jsonl")
    path = here / "kept.jsonl"
    while not path.exists() or path.read_bytes().count(b"\n") < 4:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    ended(process)
    assert read_recording(path).has_metrics


def test_an_engine_s_own_snapshot_comes_back(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"a", b"b")
        db.get(b"a")
        seen = db.stats()
    found = Unpacker().statistics(json.loads(json.dumps(packed(seen))))
    assert packed(found) == packed(seen)
    assert found.put_latency == seen.put_latency
