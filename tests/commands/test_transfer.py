"""import and export: nothing is lost, nothing is silent, and running it again is no harm."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import blockdb
from blockdb.commands import exporting, importing
from blockdb.commands.context import Context
from blockdb.commands.failures import FAILED, IoError
from blockdb.commands.parsing import parse_arguments
from blockdb.commands.results import Words
from blockdb.commands.table import Where, find

from .conftest import Run

LINES = (
    b'{"key":"a","value":"1"}\n'
    b'{"key":"b","value":{"x": [1, 2.50]}}\n'
    b'{"key":"/w==","value":"AA==","encoding":"base64"}\n'
)
COUNTS = ("stored", "present", "refused", "malformed")


def test_what_went_in_comes_out(run: Run, here: Path) -> None:
    (here / "in.jsonl").write_bytes(LINES)
    ran = run("import", "in.jsonl")
    assert (ran.code, ran.err) == (0, "")
    assert ran.text == "Imported in.jsonl: 3 stored, 0 already there, 0 refused as duplicates, 0 malformed\n"
    assert run("export").out == LINES.replace(b'{"x": [1, 2.50]}', b'"{\\"x\\":[1,2.50]}"')
    assert run("export", "--prefix", "a").out == b'{"key":"a","value":"1"}\n'


def test_again_is_no_harm(run: Run) -> None:
    run("import", "-", stdin=LINES)
    again = run(
        "--format", "json", "import", "-", stdin=LINES + b'{"key":"a","value":"other"}\n{"key":"c","value":""}\n'
    )
    assert again.code == 0
    assert {name: json.loads(again.out)[name] for name in COUNTS} == dict(zip(COUNTS, (1, 3, 1, 0), strict=True))
    assert again.err == "line 4: refused: key 'a' is there with another value\n"
    assert run("get", "a").out == b"1\n"
    assert run("get", "c", "--exists").code == 0


def test_duplicates_within_a_file(run: Run) -> None:
    ran = run("import", "-", stdin=b'{"key":"a","value":"1"}\n{"key":"a","value":"1"}\n{"key":"a","value":"2"}\n')
    assert "1 stored, 1 already there, 1 refused as duplicates" in ran.text
    assert ran.err.startswith("line 3: refused")


def test_malformed_lines_are_named_ten_of_them(run: Run, here: Path) -> None:
    bad = b"no record\n" * 12
    ran = run(
        "import", "-", "--errors", "errors.jsonl", stdin=b'{"key":"a","value":"1"}\n' + bad + b'{"key":"","value":""}\n'
    )
    assert ran.code == 0
    assert "1 stored" in ran.text
    assert "13 malformed" in ran.text
    named = ran.err.splitlines()
    assert named[0] == "line 2: malformed: not JSON: '{' is expected at character 1"
    assert named[9].startswith("line 11: ")
    assert named[10] == "3 more are not named here; --errors FILE keeps all of them"
    errors = [json.loads(line) for line in (here / "errors.jsonl").read_text().splitlines()]
    assert [error["line"] for error in errors] == list(range(2, 15))
    assert errors[-1]["reason"] == "the key has 0 bytes; 1 to 65,535 are possible"
    assert {error["problem"] for error in errors} == {"malformed"}


def test_strict(run: Run) -> None:
    assert run("import", "-", "--strict", stdin=LINES).code == 0
    assert run("import", "-", "--strict", stdin=LINES).code == 0
    assert run("import", "-", "--strict", stdin=b"no\n").code == 1
    assert run("import", "-", "--strict", stdin=b'{"key":"a","value":"2"}').code == 1


def test_keys_and_values_beyond_the_limits(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockdb, "MAX_VALUE_BYTES", 10)
    ran = run("import", "-", stdin=b'{"key":"a","value":"12345678901"}\n{"key":"%s","value":""}\n' % (b"k" * 65_536))
    assert "2 malformed" in ran.text
    assert "the value has 11 bytes" in ran.err


def test_csv(run: Run, here: Path) -> None:
    (here / "in.CSV").write_bytes(b'key,value\r\na,"two\r\nlines"\r\nb,\r\n')
    assert "2 stored" in run("import", "in.CSV").text
    assert run("get", "a", "--format", "raw").out == b"two\r\nlines"
    assert run("export", "--format", "csv").out == b"key,value,encoding\nYQ==,dHdvDQpsaW5lcw==,base64\nb,,\n"
    assert "1 stored" in run("import", "-", "--format", "csv", stdin=b"value,key\n1,c").text
    headless = run("import", "-", "--format", "csv", stdin=b"a,b\n1,2\n")
    assert headless.code == 1
    assert "Error: InvalidData: the first line of CSV" in headless.err


def test_a_file_is_replaced_whole_or_not_at_all(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("import", "-", stdin=LINES)
    assert run("export", "-o", "out.jsonl").text == "Exported 3 records to out.jsonl\n"
    before = (here / "out.jsonl").read_bytes()
    assert before == run("export").out
    assert run("export", "-o", "out.csv").code == 0
    assert (here / "out.csv").read_bytes() == run("export", "--format", "csv").out

    def broken(*_: object) -> None:
        raise blockdb.StorageError("the disk is gone")

    monkeypatch.setattr(exporting, "_write", broken)
    assert run("export", "-o", "out.jsonl").err == "Error: StorageError: the disk is gone\n"
    assert (here / "out.jsonl").read_bytes() == before
    assert {path.name for path in here.iterdir()} == {"blockdb_data", "out.jsonl", "out.csv"}


def test_an_export_to_what_is_no_file(run: Run, here: Path) -> None:
    run("import", "-", stdin=LINES)
    assert run("export", "-o", "/dev/null").code == 0
    refused = run("export", "-o", "missing/out.jsonl")
    assert refused.code == 1
    assert refused.err.startswith("Error: IoError: cannot write ")
    assert run("export", "-o", ".").err.startswith("Error: IoError: cannot write ")


def test_a_symbolic_link_stays_one(run: Run, here: Path) -> None:
    run("import", "-", stdin=LINES)
    (here / "real").write_bytes(b"old")
    (here / "link").symlink_to("real")
    run("export", "-o", "link")
    assert (here / "link").is_symlink()
    assert (here / "real").read_bytes() == run("export").out


def test_a_file_that_is_not_there(run: Run) -> None:
    ran = run("import", "missing.jsonl")
    assert (ran.code, ran.err) == (1, "Error: IoError: cannot open missing.jsonl: No such file or directory\n")


def test_an_export_takes_what_was_there_when_it_began(here: Path) -> None:
    with blockdb.open("blockdb_data") as db:
        db.put_many([(b"a%d" % number, b"") for number in range(5)])
        command = find("export", Where.COMMAND_LINE)
        result = command.run(Context(lambda: db), parse_arguments(command, []))
        items = iter(result.items)  # type: ignore[union-attr]
        next(items)
        db.put(b"later", b"")
        assert [key for key, _ in items] == [b"a1", b"a2", b"a3", b"a4"]


anything = st.binary(max_size=30)


@settings(max_examples=25)
@given(st.dictionaries(anything.filter(len), anything, max_size=12), st.sampled_from(["jsonl", "csv"]))
def test_export_and_import_give_the_same_records_in_the_same_order(records: dict[bytes, bytes], format: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/file.{format}"
        with blockdb.open(f"{folder}/one") as db:
            db.put_many(records.items())
            _command(db, "export", "-o", file)
        with blockdb.open(f"{folder}/two") as db:
            assert _command(db, "import", file).data["stored"] == len(records)
            assert [(record.key, record.value) for record in db.records()] == list(records.items())


def _command(db: blockdb.Database, name: str, *words: str) -> Words:
    command = find(name, Where.COMMAND_LINE)
    result = command.run(Context(lambda: db), parse_arguments(command, words))
    assert isinstance(result, Words)
    return result


def test_an_import_that_fails_says_how_far_it_came(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH_RECORDS", 1)
    put_many = blockdb.Database.put_many

    def fails_for_b(self: blockdb.Database, items: list[tuple[bytes, bytes]]) -> range:
        if items[0][0] == b"b":
            raise blockdb.StorageError("the disk is full")
        return put_many(self, items)

    monkeypatch.setattr(blockdb.Database, "put_many", fails_for_b)
    ran = run("import", "-", stdin=LINES)
    assert ran.code == FAILED
    assert ran.text.startswith("Importing standard input stopped: 1 stored")
    assert ran.err == "Error: StorageError: the disk is full\n"


def test_an_interrupt_is_held_back_until_the_batch_is_stored() -> None:
    done = []

    def store() -> None:
        with importing._uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            done.append(True)

    with pytest.raises(KeyboardInterrupt):
        store()
    assert done == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_replaced_names_the_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(IoError, match="missing"), exporting.replaced(tmp_path / "missing" / "file"):
        pass


def test_an_interrupt_does_not_wait_for_a_server() -> None:
    class Far:
        calls = 0

        def put_many(self, items: object) -> None:
            self.calls += 1
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1_000_000):  # until it comes
                pass

    collection = Far()
    importer = importing.Importer(collection, is_distant=True)  # type: ignore[arg-type]
    importer.add(1, b"a", b"1")
    with pytest.raises(KeyboardInterrupt):
        importer.commit()
    assert (collection.calls, importer.tally.stored) == (1, 0)
