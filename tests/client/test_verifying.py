"""A lying server, and the client that does not believe it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

import blockdb
from blockdb.ledger.note import encode_base64
from blockdb.server.handlers.table import HANDLERS
from blockdb.wire.messages import proofs, records
from tests.client.served import Served, served
from tests.tiers import tiers

Handler = Callable[[Any, Any], Any]


@dataclass
class World:
    """A server, a client that knows it, and what was kept from earlier days."""

    server: Served
    remote: blockdb.RemoteDatabase
    other: blockdb.RemoteCollection
    old_note: str
    old_absence: str
    """That `later` is not stored, which was true then."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    path = tmp_path_factory.mktemp("lies")
    with blockdb.open(path / "db", blockchain_batch_size=4) as db, served(db) as server:
        db.put_many([(b"key%02d" % number, b"value%02d" % number) for number in range(20)])
        other = db.create_collection("other")
        other.put(b"key03", b"another value")
        db.create_collection("people").put_many([(b"anna", {"age": 30}), (b"ben", {"age": 40})])
        old_note, old_absence = db.checkpoint("default"), db.prove_absent(b"later").text
        db.put(b"later", b"it was stored")
        with blockdb.connect(server.url, verified=True, state=path / "state.json", attempts=2) as remote:
            yield World(server, remote, remote.collection("other"), old_note, old_absence)


@contextmanager
def lying(world: World, **lies: Handler) -> Iterator[None]:
    """The server answers some things in another way."""
    world.server.service._handlers = {**HANDLERS, **lies}
    try:
        yield
    finally:
        world.server.service._handlers = HANDLERS


# ── the truth ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_honest_server_is_believed(world: World) -> None:
    remote, people = world.remote, world.remote["people"]
    assert remote.get(b"key03") == b"value03"
    assert remote.get(b"nothing") is None
    assert b"key03" in remote
    assert not remote.exists(b"key030")
    record = remote.record(b"key05")
    assert record == world.server.database.record(b"key05")
    assert remote.record(b"nothing") is None
    everything = list(world.server.database.scan())
    assert list(remote.scan()) == everything
    assert list(remote.scan(reverse=True)) == everything[::-1]
    assert list(remote.scan(prefix=b"key1", limit=3, offset=2)) == [
        (b"key%d" % number, b"value%d" % number) for number in (12, 13, 14)
    ]
    assert list(remote.scan(start=b"key1", end=b"key12", reverse=True, limit=1)) == [(b"key11", b"value11")]
    assert list(remote.scan(start=b"b", end=b"a")) == []
    assert list(remote.keys(prefix=b"l")) == [b"later"]
    assert list(remote.records(3, 4)) == list(world.server.database.records(3, 4))
    assert list(remote.records()) == list(world.server.database.records())
    assert [each.value for each in people.find("age > 30")] == [{"age": 40}]
    assert [each.value for each in people.find(fields="name")] == [{}, {}]
    found = people.document(b"anna")
    assert found is not None
    assert (found.value, found.sequence) == ({"age": 30}, 0)
    assert people.document(b"nobody") is None
    assert remote.get(b"key03", as_of=blockdb.AsOf(sequence=2)) is None
    assert remote.get(b"key03", as_of=blockdb.AsOf(sequence=3)) == b"value03"
    with pytest.raises(blockdb.InvalidData, match="cannot be proven"):
        remote.scan(as_of=blockdb.AsOf(sequence=3))


def test_history_goes_on_and_is_followed(world: World) -> None:
    database, remote = world.server.database, world.remote
    number = database.next_sequence
    remote.put(b"more%d" % number, b"")
    assert remote.get(b"more%d" % number) == b""
    remote.checkpoint()
    remote.checkpoint("other")
    assert remote.get(b"less%d" % number) is None
    database.rotate_key()
    remote.put(b"even more%d" % number, b"")
    remote.checkpoint()
    assert remote.get(b"even more%d" % number) == b""


# ── lies ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def other_value(session: Any, request: Any) -> proofs.Receipt:
    receipt = session.collection(request.collection).prove(request.key)
    data = receipt.body.data.replace(b"value", b"VALUE")
    return proofs.Receipt(receipt=receipt.text.replace(receipt.body.line, encode_base64(data)))


def other_key(session: Any, request: Any) -> proofs.Receipt:
    return proofs.Receipt(receipt=session.collection(request.collection).prove(b"key04").text)


def no_such_key(session: Any, request: Any) -> proofs.Receipt:
    raise blockdb.KeyNotFound(request.key)


def absence_of_another(session: Any, request: Any) -> proofs.Receipt:
    return proofs.Receipt(receipt=session.collection(request.collection).prove_absent(b"nothing").text)


def of_the_other_collection(session: Any, request: Any) -> proofs.Receipt:
    return HANDLERS["prove"](session, msgspec.structs.replace(request, collection="other"))


def range_of_the_other_collection(session: Any, request: Any) -> proofs.Receipt:
    return HANDLERS["prove_range"](session, msgspec.structs.replace(request, collection="other"))


def range_with_one_left_out(session: Any, request: Any) -> proofs.Receipt:
    receipt = session.collection(request.collection).prove_range(start=request.start, end=request.end)
    lines = [line for line in receipt.text.split("\n") if line != f"record {receipt.bodies[1].line}"]
    return proofs.Receipt(receipt="\n".join(lines))


def narrower_range(session: Any, request: Any) -> proofs.Receipt:
    receipt = session.collection(request.collection).prove_range(start=request.start, end=b"key05")
    return proofs.Receipt(receipt=receipt.text)


def short_page(session: Any, request: Any) -> records.Page:
    page = HANDLERS["scan"](session, request)
    return records.Page(items=page.items[: len(page.items) // 2])


def page_with_an_invention(session: Any, request: Any) -> records.Page:
    page = HANDLERS["scan"](session, request)
    return records.Page(items=[records.ScannedItem(key=b"key00x", value=b""), *page.items])


def no_records(session: Any, request: Any) -> records.Records:
    return records.Records(records=[])


def other_records(session: Any, request: Any) -> proofs.Receipt:
    return proofs.Receipt(
        receipt=session.collection(request.collection).prove_run(request.first + 1, request.count).text
    )


def other_document(session: Any, request: Any) -> Any:
    page = HANDLERS["find"](session, request)
    page.documents[0].value["age"] = 31
    return page


def no_consistency(session: Any, request: Any) -> proofs.Consistency:
    found = HANDLERS["consistency"](session, request)
    return proofs.Consistency(hashes=[bytes(32) for _ in found.hashes])


def read_everything(remote: blockdb.RemoteDatabase) -> object:
    return list(remote.scan(prefix=b"key"))


Lie = tuple[dict[str, Handler], Callable[[blockdb.RemoteDatabase], object], type[Exception], str]

LIES: dict[str, Lie] = {
    "other value": ({"prove": other_value}, lambda r: r.get(b"key03"), blockdb.InvalidProof, "cannot prove"),
    "receipt for another key": ({"prove": other_key}, lambda r: r.get(b"key03"), blockdb.InvalidProof, "for the key"),
    "missing record": (
        {"prove": no_such_key},
        lambda r: r.get(b"key03"),
        blockdb.InvalidProof,
        "is not stored, and that it is",
    ),
    "missing record, absence of another": (
        {"prove": no_such_key, "prove_absent": absence_of_another},
        lambda r: r.get(b"key03"),
        blockdb.InvalidProof,
        "another range",
    ),
    "proof of another collection": (
        {"prove": of_the_other_collection},
        lambda r: r.get(b"key03"),
        blockdb.InvalidProof,
        "where blockdb/.* was asked about",
    ),
    "range of another collection": (
        {"prove_range": range_of_the_other_collection},
        lambda r: list(r.scan(prefix=b"key03")),
        blockdb.InvalidProof,
        "was asked about",
    ),
    "range with one left out": (
        {"prove_range": range_with_one_left_out},
        read_everything,
        blockdb.InvalidProof,
        "cannot prove",
    ),
    "narrower range": ({"prove_range": narrower_range}, read_everything, blockdb.InvalidProof, "another range"),
    "invented key": ({"scan": page_with_an_invention}, read_everything, blockdb.InvalidProof, "cannot prove that"),
    "no records": ({"records": no_records}, lambda r: list(r.records()), blockdb.HistoryConflict, "no record 0"),
    "other records": ({"prove_run": other_records}, lambda r: list(r.records(2, 3)), blockdb.InvalidProof, "other rec"),
    "other document": ({"find": other_document}, lambda r: list(r["people"].find()), blockdb.InvalidProof, "can prove"),
}


@pytest.mark.parametrize("name", tiers(list(LIES)[:4], list(LIES)[4:]))
def test_a_lie_is_caught(world: World, name: str) -> None:
    lies, read, error, told = LIES[name]
    world.remote.checkpoint("default")
    world.remote["people"].checkpoint()
    read(world.remote)  # the truth
    with lying(world, **lies), pytest.raises(error, match=told):
        read(world.remote)


@pytest.mark.torture
@pytest.mark.parametrize("operation", ["get", "exists", "scan"])
def test_what_need_not_be_believed_does_no_harm(world: World, operation: str) -> None:
    """These answers are not looked at, or cannot leave anything out."""
    before = list(world.remote.scan())
    lie: Handler = short_page if operation == "scan" else lambda *_: records.Found(found=False, key=b"")
    with lying(world, **{operation: lie}):
        assert list(world.remote.scan()) == before
        assert world.remote.get(b"key03") == b"value03"
        assert world.remote.exists(b"key03")


def test_an_old_checkpoint_is_not_taken_for_a_new_one(world: World) -> None:
    world.remote.checkpoint("default")
    with (
        lying(world, checkpoint=lambda *_: proofs.Note(checkpoint=world.old_note)),
        pytest.raises(blockdb.HistoryConflict, match="rolled back, or something old") as caught,
    ):
        world.remote.checkpoint("default")
    assert caught.value.size is not None


def test_an_old_absence_is_not_taken_for_one_of_today(world: World) -> None:
    assert world.remote.get(b"later") == b"it was stored"
    world.remote.checkpoint()
    with (
        lying(world, prove=no_such_key, prove_absent=lambda *_: proofs.Receipt(receipt=world.old_absence)),
        pytest.raises(blockdb.HistoryConflict, match="something old is played again"),
    ):
        world.remote.get(b"later")


def test_an_old_absence_is_caught_by_who_saw_the_collection_alone(world: World) -> None:
    assert world.remote.get(b"later") == b"it was stored"
    world.remote.checkpoint("default")
    trust: Any = world.remote._plans._trust  # type: ignore[attr-defined] # the plans are those that verify
    del trust._seen[f"{trust.database}/journal"]
    with (
        lying(world, prove=no_such_key, prove_absent=lambda *_: proofs.Receipt(receipt=world.old_absence)),
        pytest.raises(blockdb.HistoryConflict, match=r"shows the keys of .* something old is played again"),
    ):
        world.remote.get(b"later")
    world.remote.checkpoint()


def test_a_step_that_is_not_proven_is_not_taken(world: World) -> None:
    world.remote.checkpoint("default")
    world.remote.put(b"step%d" % world.server.database.next_sequence, b"")
    with lying(world, consistency=no_consistency), pytest.raises(blockdb.HistoryConflict, match="does not extend"):
        world.remote.checkpoint("default")
    world.remote.checkpoint("default")


# ── another database in its place ────────────────────────────────────────────────────────────────────────────────


def grown(path: Path, names: str) -> None:
    """A database to which records were added; the first ones make it."""
    with blockdb.open(path, blockchain_batch_size=2) as db:
        db.put_many([(name.encode(), b"") for name in names])


def seen(path: Path, state: Path, **options: Any) -> str:
    """Connect to a server of a database, with what is known of it in a file; its verifier key."""
    with (
        blockdb.open(path) as db,
        served(db) as server,
        blockdb.connect(server.url, verified=True, state=state, attempts=2, **options) as remote,
    ):
        return remote.verifier_key()


def rolled_back(path: Path) -> None:
    shutil.rmtree(path)
    shutil.copytree(path.with_name("old"), path)


def forked(path: Path) -> None:
    rolled_back(path)
    grown(path, "xyz")


def exchanged(path: Path) -> None:
    shutil.rmtree(path)
    grown(path, "abcdef")


@pytest.mark.torture
@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (rolled_back, blockdb.HistoryConflict, "rolled back|does not extend"),
        (forked, blockdb.HistoryConflict, "does not extend"),
        (exchanged, blockdb.InvalidProof, "not to be trusted"),
    ],
)
def test_another_history_in_its_place_is_refused(
    tmp_path: Path, change: Callable[[Path], None], error: type[Exception], told: str
) -> None:
    path, state = tmp_path / "db", tmp_path / "state.json"
    grown(path, "abc")
    shutil.copytree(path, tmp_path / "old")
    grown(path, "def")
    seen(path, state)
    seen(path, state)
    kept = state.read_bytes()
    change(path)
    with pytest.raises(error, match=told):
        seen(path, state)
    assert state.read_bytes() == kept


@pytest.mark.torture
def test_a_key_that_was_got_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "db"
    grown(path, "abc")
    grown(tmp_path / "stranger", "abc")
    key = seen(path, tmp_path / "state.json")
    stranger = seen(tmp_path / "stranger", tmp_path / "stranger.json")
    assert seen(path, tmp_path / "fresh.json", keys=[key]) == key
    with pytest.raises(blockdb.InvalidProof, match="not to be trusted"):
        seen(path, tmp_path / "other.json", keys=[stranger])
    with pytest.raises(blockdb.HistoryConflict, match="the key that was given is not the one"):
        seen(path, tmp_path / "state.json", keys=[stranger])
    with pytest.raises(blockdb.InvalidData, match="no verifier key"):
        seen(path, tmp_path / "other.json", keys=["no key"])


@pytest.mark.torture
def test_the_file_of_what_was_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    grown(tmp_path / "db", "abc")
    with blockdb.open(tmp_path / "db") as db, served(db) as server:
        blockdb.connect(server.url, verified=True).close()
        (file,) = (tmp_path / "state" / "blockdb" / "servers").iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o777 == 0o700
        kept = file.read_text()
        for damaged, told in (("{", "is damaged"), (kept.replace("\\n3\\n", "\\n4\\n"), "checkpoint of .* is damaged")):
            file.write_text(damaged)
            with pytest.raises(blockdb.InvalidData, match=told):
                blockdb.connect(server.url, verified=True)
        with pytest.raises(blockdb.InvalidData, match="are for verified=True"):
            blockdb.connect(server.url, state=file)
