"""What an audit says of indexes: of whole ones nothing, of each change to a file what it is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import blockdb
from blockdb.audit.auditor import audit
from blockdb.audit.collection import Options
from blockdb.database.repairing.repair import repair
from blockdb.documents.indexing import IndexDefinition
from blockdb.format import checked_toml
from blockdb.format.index import IndexHeader, decode_header
from blockdb.format.ordered import encode
from blockdb.layout import CollectionFiles
from blockdb.lsm.index_file import Entry, IndexFile, build
from tests.database.indexed import check_index
from tests.storage.doors import collection_of
from tests.tiers import tiers

DOCUMENTS = {b"key %d" % n: {"n": n, "city": ["Oslo", "Bergen"][n % 2], "tags": ["a", n % 3]} for n in range(300)}
INDEXES = {"n": (["n"], True), "city": (["city", "n"], False), "tags": (["tags[]"], False)}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with three indexes of two files each."""
    path = tmp_path_factory.mktemp("indexes") / "db"
    with blockdb.open(path, blockchain_batch_size=16, memtable_size_limit=65_536, compaction_threshold=9) as db:
        items = [(key, json.dumps(document).encode()) for key, document in DOCUMENTS.items()]
        db.put_many(items[:150])
        for name, (fields, unique) in INDEXES.items():
            db.create_index(name, fields, unique)
        db.put_many(items[150:])
        db.flush()
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(template, tmp_path / "db")


def problems_of(path: Path) -> list[str]:
    return [str(problem) for problem in audit(path, options=Options(processes=1)).problems]


def check_whole(path: Path) -> None:
    assert problems_of(path) == []
    with blockdb.open(path) as db:
        for name in INDEXES:
            check_index(db, name, DOCUMENTS)


def rebuilt(files: CollectionFiles, number: int, change: Callable[[list[Entry]], object]) -> IndexHeader:
    """Change the entries of an index file, all checks of which are as they should be afterwards."""
    path = files.index_file(number)
    data = path.read_bytes()
    header = decode_header(data)
    entries = IndexFile(data, "").window(0, header.entries)
    change(entries)
    path.write_bytes(build(header, [entries]))
    return header


def test_of_whole_ones_it_says_nothing(path: Path) -> None:
    assert problems_of(path) == []
    check_whole(path)


def forge_place(entries: list[Entry]) -> None:
    entries[7] = (entries[7][0], entries[8][1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda entries: entries.pop(7), ["key b'key 7'", "does not have the values of the record", "expected n = 7 "]),
        (
            lambda entries: entries.append((encode(1e9), 99)),
            ["values that no record has", "n = 1000000000 at"],
        ),
        (forge_place, ["does not have the values of the record", "n = 7 at place"]),
        (lambda entries: entries.reverse(), ["the order of the entries is wrong"]),
    ],
)
def test_what_was_changed_is_named(path: Path, change: Callable[[list[Entry]], object], words: list[str]) -> None:
    rebuilt(collection_of(path), 1, change)
    found = "\n".join(problems_of(path))
    for word in words:
        assert word in found


@pytest.mark.torture
def test_repair_makes_the_files_anew(path: Path) -> None:
    rebuilt(collection_of(path), 1, forge_place)
    assert not repair(path).before.valid
    check_whole(path)


@pytest.mark.parametrize("what", tiers(["missing"], ["flipped", "other", "cut"]))
def test_a_damaged_file_is_named_rebuilt_on_opening_and_told(path: Path, what: str) -> None:
    files = collection_of(path)
    target = files.index_file(2)
    data = target.read_bytes()
    {
        "flipped": lambda: target.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:]),
        "missing": target.unlink,
        "other": lambda: target.write_bytes(files.index_file(3).read_bytes()),
        "cut": lambda: target.write_bytes(data[:-1]),
    }[what]()
    assert any("indexes/00000002.idx" in problem for problem in problems_of(path))
    with blockdb.open(path) as db:
        for name in INDEXES:
            check_index(db, name, DOCUMENTS)
        [problem] = db.verify().problems
        assert "the index city was built anew" in problem.what
    check_whole(path)


def test_repair_makes_the_list_from_the_journal(path: Path) -> None:
    with blockdb.open(path) as db:
        db.create_index("gone", ["x"])
        db.drop_index("gone")
    files = collection_of(path)
    files.index_list.write_bytes(b"nothing of ours")
    with pytest.raises(blockdb.Corruption):
        blockdb.open(path)
    done = repair(path)
    assert done.after.valid
    assert any("rebuilt the indexes of collection default: n, city, tags" in action for action in done.actions)
    check_whole(path)


def test_the_list_is_held_against_the_files(path: Path) -> None:
    files = collection_of(path)
    values = checked_toml.decode(files.index_list.read_bytes())
    values["indexes"][1]["files"] = values["indexes"][1]["files"][:1]
    values["indexes"][2]["fields"] = ["", "n"]
    files.index_list.write_bytes(checked_toml.encode(values))
    found = problems_of(path)
    assert any("city do not have the records that it says" in problem for problem in found)
    assert any("an index that cannot be" in problem for problem in found)


def test_a_filter_that_denies_an_entry_is_found(path: Path) -> None:
    files = collection_of(path)
    first, other = files.index_file(1).read_bytes(), IndexDefinition("0" * 32, "x", ("x",)).uuid
    header = decode_header(first)
    filter_of_others = build(header._replace(index_id=other), [[(encode(str(n)), 48 + n) for n in range(150)]])
    start = decode_header(filter_of_others)
    foreign = filter_of_others[start.filter_offset : start.checks_offset]
    assert len(foreign) == header.filter_bytes
    from blockdb.format import index as index_format

    sections = first[256 : header.filter_offset] + foreign
    files.index_file(1).write_bytes(index_format.encode(header, sections))
    assert any("the Bloom filter denies an entry" in problem for problem in problems_of(path))
