"""Anchors: what they keep, and that a history which was rewritten, cut, rolled back or forked is found by them."""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

import blockdb
from blockdb import Anchor
from blockdb.database.proofs import keys
from blockdb.database.proofs.anchors import save_anchors
from blockdb.errors import AnchorFailed, Corruption, HistoryConflict, InvalidData, ReadOnly, StorageError
from blockdb.format import note_file
from blockdb.layout import DatabaseFiles
from blockdb.ledger.cosignature import seen_by
from blockdb.ledger.note import Note, VerifierKey
from blockdb.storage import surroundings
from blockdb.storage.door import Door
from blockdb.storage.manifest import save_checked
from blockdb.storage.metadata import load_registry
from blockdb.witness.witness import Witness, create
from tests.witness.family import NAME, served_here


@dataclass(frozen=True)
class Life:
    """Three moments of a database, each after a checkpoint was published, and what its anchors kept by then."""

    root: Path

    def at(self, moment: int) -> Path:
        """The database as it was."""
        return self.root / f"moment{moment}"

    @property
    def file(self) -> Path:
        """The file anchor as it was in the end."""
        return self.root / "anchor"

    @property
    def witness(self) -> Path:
        """The directory of the witness as it was in the end."""
        return self.root / "witness"


Forge = Callable[[Life, Path, pytest.MonkeyPatch], None]


def records(moment: int, value: bytes = b"honest") -> list[tuple[bytes, bytes]]:
    return [(b"%d-%d" % (moment, number), value) for number in range(10)]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    root = tmp_path_factory.mktemp("life")
    life = Life(root)
    create(life.witness, NAME)
    witness = Witness(life.witness)
    with served_here(witness) as url:
        for moment in range(3):
            with blockdb.open(root / "db", blockchain_batch_size=4) as db:
                db.put_many(records(moment))
                if not moment:
                    db.checkpoint()
                    witness.trust(db.verifier_key(), f"{db.verifier_key().partition('+')[0]}/journal")
                    db.add_anchor(life.file)
                    db.add_anchor(url, str(witness.key))
                else:
                    assert not db.publish().failures
                assert db.verify().valid
            shutil.copytree(root / "db", life.at(moment))
    for moment in range(3):
        DatabaseFiles(life.at(moment)).anchors.unlink()
    return life


@pytest.fixture(params=["file", "witness", "witness that shows nothing"])
def anchor(request: pytest.FixtureRequest, life: Life, tmp_path: Path) -> Iterator[Anchor]:
    """A copy of each of the anchors, in the state of the end of that life."""
    with ExitStack() as stack:
        if request.param == "file":
            shutil.copy(life.file, tmp_path / "anchor")
            yield Anchor(str(tmp_path / "anchor"))
        else:
            shutil.copytree(life.witness, tmp_path / "witness")
            witness = Witness(tmp_path / "witness")
            shows = request.param == "witness"
            yield Anchor(stack.enter_context(served_here(witness, shows=shows)), str(witness.key))


def gone_on(path: Path, *, first: int = 1, last: int = 2) -> None:
    """Let a database go on with other records, signed with its own key."""
    with blockdb.open(path) as db:
        for moment in range(first, last + 1):
            db.put_many(records(moment, b"forged"))
            db.checkpoint()


def swap(life: Life, path: Path, other: Path, name: str) -> None:
    """Put the collection of that name of another database in the place of this one's."""
    collection = load_registry(Door(), DatabaseFiles(life.at(2)).registry)[name]
    shutil.rmtree(path / "collections" / collection)
    shutil.copytree(other / "collections" / collection, path / "collections" / collection)


def forgery(life: Life, forge: Forge) -> Path:
    """The database as that forgery leaves it; each is made once, and read by all."""
    path = life.root / forge.__name__ / "db"
    if not path.exists():
        path.parent.mkdir()
        with pytest.MonkeyPatch.context() as monkeypatch:
            forge(life, path, monkeypatch)
    return path


def untouched(life: Life, path: Path, _: pytest.MonkeyPatch) -> None:
    shutil.copytree(life.at(2), path)


def rolled_back(life: Life, path: Path, _: pytest.MonkeyPatch) -> None:
    shutil.copytree(life.at(1), path)


def rolled_back_and_gone_on(life: Life, path: Path, _: pytest.MonkeyPatch) -> None:
    shutil.copytree(life.at(1), path)
    gone_on(path, first=3, last=5)


def forked(life: Life, path: Path, _: pytest.MonkeyPatch) -> None:
    shutil.copytree(life.at(1), path)
    gone_on(path, first=2)


def rewritten(life: Life, path: Path, _: pytest.MonkeyPatch) -> None:
    shutil.copytree(life.at(0), path)
    gone_on(path)


def records_rewritten(life: Life, path: Path, _: pytest.MonkeyPatch) -> None:
    """The journal is the honest one."""
    shutil.copytree(life.at(0), path.with_name("forged"))
    gone_on(path.with_name("forged"))
    shutil.copytree(life.at(2), path)
    swap(life, path, path.with_name("forged"), "default")


def chained_anew(life: Life, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the keys and the names of the honest one, all from the first record on."""
    before = DatabaseFiles(life.at(2))
    names = load_registry(Door(), before.registry)
    ids = iter([UUID(names[name].removeprefix("col_")) for name in ("default", "_journal")])
    shutil.copytree(before.keys, path / "keys")
    monkeypatch.setattr(surroundings.Surroundings, "new_id", lambda *_: next(ids))
    gone_on(path, first=0)


def records_cut(life: Life, path: Path, _: pytest.MonkeyPatch) -> None:
    """The journal is the present one."""
    shutil.copytree(life.at(2), path)
    swap(life, path, life.at(1), "default")


def journal_cut(life: Life, path: Path, _: pytest.MonkeyPatch) -> None:
    shutil.copytree(life.at(2), path)
    swap(life, path, life.at(1), "_journal")


FORGERIES: list[tuple[Forge, str, int]] = [
    (rolled_back, "older copy was put back|has seen", 2),
    (rolled_back_and_gone_on, "not one of this history|not those that are here", 2),
    (forked, "not one of this history|another tree of as many", 2),
    (rewritten, "not one of this history|another tree of as many", 1),
    (chained_anew, "not one of this history|another tree of as many", 0),
    (records_rewritten, "the first [23]0 records of default are not those that they were", 1),
    (records_cut, "default had 30 records, and has 20", 2),
    (journal_cut, "older copy was put back|has seen", 2),
]


def test_the_honest_database_holds(life: Life, anchor: Anchor) -> None:
    with blockdb.open(forgery(life, untouched), read_only=True) as db:
        assert db.check_anchors([anchor]) == ()
        assert db.check_anchors() == ()


@pytest.mark.parametrize(("forge", "message", "good"), FORGERIES)
def test_a_changed_history_is_found_and_placed(
    life: Life, anchor: Anchor, forge: Forge, message: str, good: int
) -> None:
    """By every anchor alone; and by a file, between which two checkpoints: the second is that of `good` + 1."""
    with blockdb.open(forgery(life, forge), read_only=True) as db:
        [problem] = db.check_anchors([anchor])
    assert re.search(message, problem.what)
    if anchor.key is None:
        if good:
            assert f"after the checkpoint of {good} entries" in problem.what
            assert f"default: {good * 10} records" in problem.what
            assert f"before that of {good + 1}" in problem.what
        else:
            assert "no earlier checkpoint is kept that still holds" in problem.what


def test_a_witness_tells_that_and_a_file_between_which_two(life: Life, anchor: Anchor) -> None:
    with blockdb.open(forgery(life, rewritten), read_only=True) as db:
        problems = db.check_anchors([anchor, Anchor(str(life.file))])
        assert {problem.path for problem in problems} == {anchor.where, str(life.file)}
        assert all("after the checkpoint of 1 entries" in problem.what for problem in problems)


def test_verify_asks_the_anchors(life: Life, tmp_path: Path) -> None:
    shutil.copytree(forgery(life, records_cut), tmp_path / "db")
    anchors = DatabaseFiles(tmp_path / "db").anchors
    save_anchors(Door(), DatabaseFiles(tmp_path / "db"), [Anchor(str(life.file))])
    with blockdb.open(tmp_path / "db", read_only=True) as db:
        report = db.verify()
        assert not report.valid
        assert "default had 30 records" in str(report.problems[-1])
        anchors.write_bytes(anchors.read_bytes().replace(b"anchor", b"ancher"))
        problems = db.verify().problems
        assert problems[-1].path == "global_metadata/anchors.toml"
        anchors.unlink()
        assert not db.verify(anchors=[Anchor(str(life.file))]).valid
        for cannot in (Anchor("http://127.0.0.1:1"), Anchor("file", "key"), Anchor(str(tmp_path / "db" / "x"))):
            with pytest.raises(InvalidData):
                db.verify(anchors=[cannot])


def test_an_audit_asks_the_anchors(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "db"
    shutil.copytree(forgery(life, forked), path)
    assert blockdb.verify(path).valid
    anchor = Anchor(str(life.file))
    assert "is not one of this history" in blockdb.verify(path, anchors=[anchor]).problems[0].what
    save_anchors(Door(), DatabaseFiles(path), [anchor])
    [problem] = blockdb.verify(path).problems
    assert problem.path == anchor.where
    with pytest.raises(InvalidData):
        blockdb.verify(path, anchors=[Anchor("http://127.0.0.1:1")])
    DatabaseFiles(path).public_keys.write_bytes(b"")
    for metadata in path.glob("collections/*/metadata.toml"):
        metadata.unlink()
    assert any("the anchors were not asked" in problem.what for problem in blockdb.verify(path).problems)


def test_a_fork_that_went_on_in_the_same_file_is_found(life: Life, tmp_path: Path) -> None:
    """By a program that does not look before it appends: the honest checkpoint is one among many of the fork."""
    shutil.copytree(life.at(1), tmp_path / "db")
    notes = life.file.read_text()
    with blockdb.open(tmp_path / "db") as db:
        gone_on_notes = [notes]
        for number in range(12):
            db.put(b"forged %d" % number, b"")
            note = db.checkpoint()
            if number:
                gone_on_notes.append(note)
        (tmp_path / "anchor").write_text("\n".join(gone_on_notes))
        [problem] = db.check_anchors([Anchor(str(tmp_path / "anchor"))])
        assert "after the checkpoint of 2 entries" in problem.what
    [problem] = blockdb.verify(tmp_path / "db", checkpoints=[tmp_path / "anchor"]).problems
    assert "the checkpoint of 3 records" in problem.what


def test_an_anchor_that_cannot_be_asked_is_a_problem(life: Life, tmp_path: Path) -> None:
    others = tmp_path / "others"
    with blockdb.open(tmp_path / "other") as other:
        other.add_anchor(others)
    with blockdb.open(forgery(life, untouched), read_only=True) as db:
        key = str(Witness(life.witness).key)
        asked = [Anchor(str(tmp_path / "missing")), Anchor(str(others)), Anchor("http://127.0.0.1:1", key)]
        found = {problem.path: problem.what for problem in db.check_anchors(asked)}
        assert "not there" in found[asked[0].where]
        assert "keeps no checkpoint of this database" in found[asked[1].where]
        assert "no answer" in found[asked[2].where]
    with blockdb.open(tmp_path / "new") as db:
        [problem] = db.check_anchors([Anchor(str(life.file))])
        assert "no journal" in problem.what


def test_other_keys_are_noticed(life: Life, tmp_path: Path) -> None:
    shutil.copytree(life.at(2), tmp_path / "db")
    files = DatabaseFiles(tmp_path / "db")
    keys.save_public_keys(Door(), files, [b"k" * 32])
    with blockdb.open(tmp_path / "db", read_only=True) as db:
        [problem] = db.check_anchors([Anchor(str(life.file))])
        assert "keys were replaced here, or the anchor was forged" in problem.what


@pytest.fixture
def db(tmp_path: Path) -> Iterator[blockdb.Database]:
    with blockdb.open(tmp_path / "db") as db:
        yield db


def kept(path: Path) -> list[str]:
    return note_file.decode(path.read_bytes()).notes


def test_a_file_keeps_each_checkpoint_once(db: blockdb.Database, tmp_path: Path) -> None:
    file = tmp_path / "anchor"
    assert db.add_anchor(file) == Anchor(str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for number in range(3):
        db.put(b"%d" % number, b"")
        notes = {db.publish().note for _ in range(2)}
        assert [kept(file)[-1]] == list(notes)
    assert len(kept(file)) == 4
    with blockdb.open(tmp_path / "other") as other:
        other.add_anchor(file)
        other.put(b"a", b"")
        other.publish()
        assert db.check_anchors() == other.check_anchors() == ()
    assert len(kept(file)) == 6
    assert db.remove_anchor(file) == Anchor(str(file))
    assert db.anchors() == ()
    db.put(b"more", b"")
    db.publish()
    assert len(kept(file)) == 6


def test_keys_that_were_rotated_are_still_known(db: blockdb.Database, tmp_path: Path) -> None:
    db.add_anchor(tmp_path / "anchor")
    db.rotate_key()
    assert not db.publish().failures
    assert db.check_anchors() == ()


def test_what_was_redacted_is_still_what_was_anchored(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", redactable=True) as db:
        db.put_many(records(0))
        db.add_anchor(tmp_path / "anchor")
        db.redact(b"0-7", reason="erasure")
        assert not db.publish().failures
        assert db.check_anchors() == ()


def test_the_anchors_of_an_encrypted_database_can_be_read_by_all(tmp_path: Path) -> None:
    secret = {"master_key": b"m" * 32}
    with blockdb.open(tmp_path / "db", encryption_enabled=True, **secret) as db:
        db.put(b"a", b"")
        db.add_anchor(tmp_path / "anchor")
        assert kept(tmp_path / "anchor") == [db.checkpoint()]
    assert blockdb.verify(tmp_path / "db", **secret).valid


def test_the_list_of_anchors(db: blockdb.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    db.add_anchor("anchor")
    for where, key, message in (
        ("./anchor", None, "already"),
        ("anchor2", "key", "only a witness"),
        (tmp_path / "db" / "anchor", None, "inside the database directory"),
        ("db/global_metadata/../x", None, "inside the database directory"),
        ("http://127.0.0.1:1", None, "needs its key"),
        ("http://127.0.0.1:1", "nonsense", "name"),
        (tmp_path, None, "is no file"),
        ("/dev/zero", None, "is no file"),
        ("a\0b", None, "cannot be the path"),
        ("\udcff", None, "cannot be the path"),
        ("gopher://127.0.0.1:1", str(Witness(_witness(tmp_path)).key), "no URL of a witness"),
    ):
        with pytest.raises(InvalidData, match=message):
            db.add_anchor(where, key)
    for where in ("anchor2", "a\0b", "\udcff", ""):
        with pytest.raises(InvalidData, match="anchor list"):
            db.remove_anchor(where)
    with blockdb.open("db", read_only=True) as reader:
        assert reader.anchors() == (Anchor(str(tmp_path / "anchor")),)
        for change in (reader.add_anchor, reader.remove_anchor):
            with pytest.raises(ReadOnly):
                change("anchor")
    db.remove_anchor("anchor")
    with pytest.raises(StorageError):
        db.add_anchor(tmp_path / "nowhere" / "anchor")
    assert db.anchors() == ()


def _witness(tmp_path: Path) -> Path:
    if not (tmp_path / "witness").exists():
        create(tmp_path / "witness", NAME)
    return tmp_path / "witness"


def trusting(db: blockdb.Database, root: Path) -> Witness:
    """A witness that knows the database."""
    witness = Witness(_witness(root))
    key = VerifierKey.parse(db.verifier_key())
    witness.trust(str(key), f"{key.name}/journal")
    return witness


def test_cosignatures_are_kept_and_failures_told(db: blockdb.Database, tmp_path: Path) -> None:
    witness = trusting(db, tmp_path)
    with served_here(witness) as url:
        db.add_anchor(tmp_path / "gone")
        db.add_anchor(url, str(witness.key))
        db.add_anchor(tmp_path / "anchor")
        (tmp_path / "gone").unlink()
        for number in range(2):
            db.put(b"%d" % number, b"")
            publication = db.publish()
            assert list(publication.failures) == [str(tmp_path / "gone")]
            assert "not there any more" in publication.failures[str(tmp_path / "gone")]
            note = Note.parse(publication.note)
            assert len(note.signatures) == 2
            assert len(seen_by(note.text, note.signatures, [witness.key])) == 1
            assert kept(tmp_path / "anchor")[-1] == publication.note == db.checkpoint()
        assert len(Note.parse(db.publish().note).signatures) == 2
    failed = db.publish()
    assert list(failed.failures) == [url, str(tmp_path / "gone")]
    assert "no answer" in failed.failures[url]


@pytest.mark.parametrize("shows", [True, False])
def test_a_witness_that_was_set_back_is_found_out(db: blockdb.Database, tmp_path: Path, shows: bool) -> None:
    witness = trusting(db, tmp_path)
    with served_here(witness, shows=shows) as url:
        db.add_anchor(url, str(witness.key))
        shutil.copytree(tmp_path / "witness", tmp_path / "older")
        db.put(b"a", b"")
        assert not db.publish().failures
    db.remove_anchor(url)
    with served_here(Witness(tmp_path / "older"), shows=shows) as url:
        save_anchors(Door(), DatabaseFiles(tmp_path / "db"), [Anchor(url, str(witness.key))])
        message = "it cosigned 2 records, and now knows of 1"
        assert message in db.check_anchors()[0].what
        db.put(b"b", b"")
        assert message in db.publish().failures[url]


def test_an_anchor_that_does_not_take_the_checkpoint_is_not_added(db: blockdb.Database, tmp_path: Path) -> None:
    witness = Witness(_witness(tmp_path))
    with served_here(witness) as url, pytest.raises(AnchorFailed, match=r"answers 404.*It was not added"):
        db.add_anchor(url, str(witness.key))
    assert db.anchors() == ()


def test_an_older_copy_is_refused_by_its_anchors(life: Life, tmp_path: Path) -> None:
    """It is told at each publication, nothing is appended, and the witness cosigns nothing."""
    shutil.copytree(life.witness, tmp_path / "witness")
    shutil.copy(life.file, tmp_path / "anchor")
    shutil.copytree(life.at(1), tmp_path / "db")
    witness = Witness(tmp_path / "witness")
    with served_here(witness) as url, blockdb.open(tmp_path / "db") as db:
        for where, key in ((tmp_path / "anchor", None), (url, str(witness.key))):
            with pytest.raises(HistoryConflict, match="It was not added"):
                db.add_anchor(where, key)
        save_anchors(
            Door(), DatabaseFiles(tmp_path / "db"), [Anchor(str(tmp_path / "anchor")), Anchor(url, str(witness.key))]
        )
        for moment in range(5, 8):
            db.put_many(records(moment))
            assert len(db.publish().failures) == 2
    assert (tmp_path / "anchor").read_bytes() == life.file.read_bytes()


def test_what_was_not_written_to_its_end_is_cut_off(life: Life, tmp_path: Path) -> None:
    """At every byte: whoever reads the file passes it over, and the next checkpoint takes its place."""
    shutil.copytree(life.at(2), tmp_path / "db")
    whole = life.file.read_bytes()
    two = note_file.decode(whole).notes[:2]
    with blockdb.open(tmp_path / "db") as db:
        file = tmp_path / "anchor"
        save_anchors(Door(), DatabaseFiles(tmp_path / "db"), [Anchor(str(file))])
        start = len("\n".join(two).encode())
        for stop in (*range(start, start + 3), *range(start + 3, len(whole), 67), len(whole) - 1):
            file.write_bytes(whole[:stop])
            notes = kept(file)
            assert notes[:2] == two
            assert not db.publish().failures
            assert kept(file)[:2] == two
            assert kept(file)[2].partition("\n\n")[0] == db.checkpoint().partition("\n\n")[0]
            assert db.check_anchors() == ()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data.replace(b"\n2\n", b"\n5\n"), "no key of this database signed"),
        (lambda data: data.replace(b"\n2\n", b"\nx\n"), "note 2 in it is damaged"),
        (lambda data: b"\xff" + data, "no file of signed notes"),
        (lambda data: b"hello\n\nworld\n\n" + data, "note 1 in it is damaged"),
        (lambda data: data + b"\n" + data, "note 4 in it does not come after"),
        (lambda data: b"", "keeps no checkpoint"),
    ],
)
def test_a_file_that_was_changed_is_not_believed(
    life: Life, tmp_path: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    file = tmp_path / "anchor"
    file.write_bytes(damage(life.file.read_bytes()))
    before = file.read_bytes()
    shutil.copytree(life.at(2), tmp_path / "db")
    with blockdb.open(tmp_path / "db") as db:
        [problem] = db.check_anchors([Anchor(str(file))])
        assert message in problem.what
        save_anchors(Door(), DatabaseFiles(tmp_path / "db"), [Anchor(str(file))])
        db.publish()
        assert file.read_bytes().startswith(before)


def test_a_file_that_somebody_writes_is_left_alone(db: blockdb.Database, tmp_path: Path) -> None:
    db.add_anchor(tmp_path / "anchor")
    lock = Door().lock(tmp_path / "anchor")
    assert "another process is writing" in db.publish().failures[str(tmp_path / "anchor")]
    Door().unlock(lock)
    assert not db.publish().failures


def test_a_list_that_is_none_is_corrupt(db: blockdb.Database) -> None:
    save_checked(Door(), DatabaseFiles(db.path).anchors, "list of anchors", {"anchors": [{"what": 1}]})
    with pytest.raises(Corruption, match="it holds no anchors"):
        db.anchors()
