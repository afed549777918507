"""Auditing a static export, in a directory and behind a real server: it names the first tile and entry that differ."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event

import pytest

import blockdb
from blockdb.audit.export import audit_export
from blockdb.audit.sources import Missing, TooLarge, Web, source_of
from blockdb.audit.watch import Watch
from blockdb.ledger.merkle import leaf_hash, root_of
from blockdb.ledger.note import NoteSigner
from tests.audit.exports import SIGNER, Quiet, entry, export, served, write
from tests.commands.conftest import Run, here, run

__all__ = ["here", "run"]

SIZE = 600
ENTRIES = [entry(number) for number in range(SIZE)]
KEY = str(SIGNER.key)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("export") / "log", ENTRIES)


@pytest.fixture
def log(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "log"))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, pytest.param(66_000, marks=pytest.mark.torture)])
def test_what_is_intact_is_found_intact(tmp_path: Path, size: int) -> None:
    log = export(tmp_path / "log", [entry(number) for number in range(size)])
    report = blockdb.verify(log, keys=[KEY])
    assert (report.valid, report.records, report.problems) == (True, size, ())
    assert f"Checkpoint of {SIGNER.key.name}: {size} records" in report.notes[0]
    assert KEY in report.notes[0]


def test_a_server_is_asked_over_the_network(whole: Path) -> None:
    told: list[int] = []
    with served(whole) as address:
        report = blockdb.verify(address + "/", lambda progress: told.append(progress.records_done), keys=[KEY])
    assert (report.valid, report.records, told) == (True, SIZE, [256, 512, 600])
    assert report.read_bytes == sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())


# ── what is named ────────────────────────────────────────────────────────────────────────────────────────────────


def change(file: Path, at: int, to: bytes) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:at] + to + data[at + len(to) :])


@pytest.mark.parametrize("number", [0, 255, 256, 511, 512, 599])
@pytest.mark.parametrize("over_http", [False, pytest.param(True, marks=pytest.mark.torture)])
def test_an_entry_that_was_changed_is_named(log: Path, number: int, over_http: bool) -> None:
    path = "tile/entries/" + ("002.p/88" if number >= 512 else f"00{number // 256}")
    at = sum(2 + len(each) for each in ENTRIES[number // 256 * 256 : number])
    change(log / path, at + 2, b"X")
    if over_http:
        with served(log) as address:
            report = blockdb.verify(address, keys=[KEY])
    else:
        report = blockdb.verify(log, keys=[KEY])
    problem = report.problems[0]
    assert (problem.path, problem.offset, problem.sequence) == (path, at, number)
    assert problem.expected == f"leaf {leaf_hash(ENTRIES[number]).hex()}"
    assert problem.found == f"leaf {leaf_hash(b'X' + ENTRIES[number][1:]).hex()}"
    assert "differ" in problem.what if number >= 512 else problem.what == "the entry does not have its hash"
    assert report.problems[-1].path == "checkpoint", "whose root the changed entries do not have"


@pytest.mark.parametrize("number", [3, 300])
def test_a_hash_that_was_changed_is_told_from_its_entry(log: Path, number: int) -> None:
    path = f"tile/0/00{number // 256}"
    change(log / path, number % 256 * 32, bytes(32))
    [problem] = blockdb.verify(log, keys=[KEY]).problems
    assert (problem.path, problem.offset, problem.sequence) == (path, number % 256 * 32, number)
    assert problem.what == "the tile does not have the hash of the entry"
    assert (problem.expected, problem.found) == (f"leaf {leaf_hash(ENTRIES[number]).hex()}", f"leaf {bytes(32).hex()}")


def test_a_tile_higher_up_is_recomputed(log: Path) -> None:
    change(log / "tile/1/000.p/2", 32, bytes(32))
    [problem] = blockdb.verify(log).problems
    assert (problem.path, problem.offset) == ("tile/1/000.p/2", 32)
    assert problem.expected == f"node {root_of([leaf_hash(each) for each in ENTRIES[256:512]]).hex()}"


def drop(log: Path) -> None:
    path = log / "tile/entries/001"
    path.write_bytes(path.read_bytes()[2 + len(ENTRIES[256]) :])


def insert(log: Path) -> None:
    path = log / "tile/entries/001"
    path.write_bytes(b"\0\1X" + path.read_bytes())


def cut(log: Path) -> None:
    path = log / "tile/entries/001"
    path.write_bytes(path.read_bytes()[:-1])


def swap(log: Path) -> None:
    path = log / "tile/entries/001"
    one, other = (len(each).to_bytes(2, "big") + each for each in ENTRIES[256:258])
    path.write_bytes(other + one + path.read_bytes()[len(one) + len(other) :])


@pytest.mark.parametrize(
    ("damage", "sequence", "what"),
    [(drop, 511, "255 entries"), (insert, 256, "hash"), (cut, 511, "ends inside"), (swap, 256, "hash")],
)
def test_entries_that_were_moved_are_found_at_the_first(
    log: Path, damage: Callable[[Path], None], sequence: int, what: str
) -> None:
    damage(log)
    report = blockdb.verify(log, first=True)
    [problem] = report.problems
    assert (problem.path, problem.sequence) == ("tile/entries/001", sequence)
    assert what in problem.what
    assert report.records == 256, "it ended there"


@pytest.mark.parametrize("path", ["tile/entries/000", "tile/0/001", "tile/1/000.p/2", "tile/0/002.p/88"])
def test_a_file_that_is_missing_or_short_is_named(log: Path, path: str) -> None:
    whole = (log / path).read_bytes()
    (log / path).unlink()
    [problem] = [problem for problem in blockdb.verify(log).problems if problem.path != "checkpoint"]
    assert (problem.path, problem.what) == (path, "the file is missing")
    (log / path).write_bytes(whole[:31])
    assert blockdb.verify(log).problems[0].path == path


def test_an_export_without_its_records_is_recomputed_from_its_hashes(log: Path) -> None:
    shutil.rmtree(log / "tile/entries")
    assert len(blockdb.verify(log).problems) == 3, "nobody takes them away unnoticed"
    assert blockdb.verify(log, keys=[KEY], hashes_only=True).valid
    change(log / "tile/0/001", 32, bytes(32))
    assert [problem.path for problem in blockdb.verify(log, hashes_only=True).problems] == [
        "tile/1/000.p/2",
        "checkpoint",
    ]


def test_where_a_partial_tile_is_gone_the_whole_one_serves(log: Path, tmp_path: Path) -> None:
    """A checkpoint of before the log grew is still good."""
    old = (log / "checkpoint").read_bytes()
    grown = export(tmp_path / "grown", [entry(number) for number in range(800)])
    write(grown, "checkpoint", old)
    write(grown, "tile/1/000.p/2", (log / "tile/1/000.p/2").read_bytes())  # there is no whole one of these yet
    report = blockdb.verify(grown, keys=[KEY])
    assert (report.valid, report.records) == (True, SIZE)


def test_a_root_that_the_entries_do_not_have(tmp_path: Path) -> None:
    one, other = export(tmp_path / "one", ENTRIES), export(tmp_path / "other", [*ENTRIES[:-1], b"another"])
    shutil.copy(other / "checkpoint", one / "checkpoint")
    [problem] = blockdb.verify(one, keys=[KEY]).problems
    assert (problem.path, problem.what) == ("checkpoint", "the checkpoint does not have the root of the entries")


def test_a_checkpoint_of_a_stranger_and_one_that_is_none(log: Path) -> None:
    stranger = NoteSigner("example.org/log", bytes(31) + b"\1")
    [problem] = blockdb.verify(log, keys=[str(stranger.key)]).problems
    assert problem.path == "checkpoint"
    assert problem.expected == f"a signature by {stranger.key}"
    assert "its signature was not checked" in blockdb.verify(log).notes[0]
    (log / "checkpoint").write_text("hello")
    [problem] = blockdb.verify(log).problems
    assert (problem.path, "is no checkpoint" in problem.what) == ("checkpoint", True)


# ── servers of all sorts ─────────────────────────────────────────────────────────────────────────────────────────


class Odd(Quiet):
    """Answers what its path says."""

    def do_GET(self) -> None:  # noqa: N802 - the name is http.server's
        kind = self.path.rpartition("/")[2]
        if kind == "error":
            self.send_error(500)
        elif kind == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "http://example.org/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif kind == "short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
        elif kind == "endless":
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            while True:
                self.wfile.write(bytes(65_536))
        elif kind == "nonsense":
            self.wfile.write(b"no HTTP at all\r\n\r\n")
            self.close_connection = True
        elif kind == "closing":
            body = b"fine"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True  # without a word
        else:
            self.send_error(404)

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("error", "the server answers 500"),
        ("elsewhere", "which leads to http://example.org/"),
        ("short", "does not speak HTTP as it should"),
        ("nonsense", "does not speak HTTP as it should"),
    ],
)
def test_what_a_server_does_wrong_is_told(tmp_path: Path, path: str, says: str) -> None:
    with (
        served(tmp_path, Odd) as address,
        closing(Web(address)) as web,
        pytest.raises(blockdb.StorageError, match=says) as caught,
    ):
        web.read(path, 1000)
    assert f"{address}/{path}: " in str(caught.value)


def test_an_answer_without_end_is_cut_off_and_a_closed_connection_opened_again(tmp_path: Path) -> None:
    with served(tmp_path, Odd) as address, closing(Web(address)) as web:
        with pytest.raises(TooLarge):
            web.read("endless", 1000)
        for _ in range(3):
            assert web.read("closing", 1000) == b"fine"
        with pytest.raises(Missing):
            web.read("nothing", 1000)


def test_a_server_that_does_not_answer_is_waited_for_so_long_and_no_longer(tmp_path: Path) -> None:
    done = Event()

    class Silent(BaseHTTPRequestHandler):
        def handle(self) -> None:
            done.wait(30)

    with served(tmp_path, Silent) as address:
        with pytest.raises(blockdb.StorageError, match="no answer"):
            Web(address, timeout_s=0.1).read("checkpoint", 1000)
        done.set()
    with pytest.raises(blockdb.StorageError, match="cannot be reached"):
        Web(address).read("checkpoint", 1000)


@pytest.mark.parametrize(
    "address", ["http://", "https://host:port/", "http://h/log?x=1", "http://me@h/", "http://h/#a"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(blockdb.InvalidData, match="no address"):
        source_of(address)


def test_the_command_takes_an_address(run: Run, log: Path) -> None:
    with served(log) as address:
        ran = run("audit", address, "--key", KEY)
        assert (ran.code, ran.err) == (0, "")
        assert "600 records recomputed" in ran.text
        change(log / "tile/entries/000", 2, b"X")
        ran = run("audit", address, "--first", "--format", "json")
        told = json.loads(ran.out)
        assert (ran.code, told["problems"][0]["sequence"]) == (1, 0)
        ran = run("audit", address + "/elsewhere")
        assert (ran.code, "no static export" in ran.err) == (3, True)
        assert run("audit", address, "--checkpoint", "x").code == 1


def test_what_the_writer_of_the_audit_may_cancel(whole: Path) -> None:
    report = audit_export(source_of(str(whole)), [], Watch(None, lambda: True))
    assert (report.valid, report.cancelled) == (False, True)
