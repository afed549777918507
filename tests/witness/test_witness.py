"""The witness by the protocol: each answer, what it keeps, what it refuses whatever it is sent."""

from __future__ import annotations

import errno
import stat
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blockdb.errors import DatabaseLocked, InvalidData, StorageError
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.cosignature import Cosigner, seen_by
from blockdb.ledger.merkle import EMPTY_ROOT
from blockdb.ledger.note import Note, NoteSigner, parse_signatures
from blockdb.storage.door import Door
from blockdb.witness.application import application
from blockdb.witness.protocol import MAX_BODY_BYTES, Submission, encode_submission, log_id
from blockdb.witness.witness import Witness, create
from tests.witness.family import NAME, ORIGIN, SIGNER, Log, ask

LOG = Log()
FORK = Log(b"fork", 5)
NOW_S = 1_700_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A witness's directory, in which one log is trusted."""
    create(tmp_path / "witness", NAME)
    Witness(tmp_path / "witness").trust(str(SIGNER.key))
    return tmp_path / "witness"


def opened(root: Path, door: Door | None = None) -> Witness:
    return Witness(root, door, lambda: NOW_S)


def test_what_extends_is_cosigned_and_kept(root: Path) -> None:
    witness = opened(root)
    for old, size in ((0, 1), (1, 4), (4, 4), (4, 7)):
        answer = witness.add(LOG.body(old, size))
        assert answer.status == 200
        note = Note.parse(LOG.note(size))
        [seen] = seen_by(note.text, parse_signatures(answer.body), [witness.key])
        assert seen.time_s == NOW_S
    kept = opened(root).last_note(log_id(ORIGIN))
    assert kept is not None
    assert Note.parse(kept).verified_by([SIGNER.key])
    assert opened(root).add(LOG.body(0, 7)).body == "7\n"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (lambda: LOG.body(0, 6), 409, "4\n"),
        (lambda: LOG.body(3, 6), 409, "4\n"),
        (lambda: LOG.body(5, 6), 409, "4\n"),
        (lambda: LOG.body(2, 3), 409, "4\n"),
        (lambda: encode_submission(4, (), Log(b"x", 0).note(4)), 409, "4\n"),
        (lambda: encode_submission(4, (), LOG.note(3)), 400, "the old size is larger than the checkpoint's\n"),
        (lambda: encode_submission(4, Log(b"x", 3).proof(4, 7), Log(b"x", 3).note(7)), 422, None),
        (lambda: encode_submission(4, LOG.proof(4, 7)[:-1], LOG.note(7)), 422, None),
        (lambda: encode_submission(4, (*LOG.proof(4, 7), b"x" * 32), LOG.note(7)), 422, None),
        (lambda: encode_submission(4, [b"x" * 32], LOG.note(4)), 422, None),
        (lambda: Log(origin="example.org/other").body(4, 7), 404, None),
        (lambda: Log(signer=NoteSigner(ORIGIN, b"m" * 32)).body(4, 7), 403, None),
        (lambda: Log(signer=NoteSigner("example.org/logbook", b"l" * 32)).body(4, 7), 403, None),
        (lambda: LOG.body(4, 7).replace(b"\n7\n", b"\n8\n"), 403, None),
    ],
)
def test_what_does_not_is_refused(root: Path, body: Callable[[], bytes], status: int, text: str | None) -> None:
    witness = opened(root)
    assert witness.add(LOG.body(0, 4)).status == 200
    before = witness.last_note(log_id(ORIGIN))
    answer = witness.add(body())
    assert answer.status == status
    assert text is None or answer.body == text
    assert (answer.content_type == "text/x.tlog.size") == (status == 409)
    assert witness.last_note(log_id(ORIGIN)) == before


def test_a_key_that_is_trusted_speaks_for_what_is_below_its_name(root: Path) -> None:
    """As that of a database does, which signs for its journal and each of its collections."""
    witness = opened(root)
    below, beside = f"{ORIGIN}/journal", f"{ORIGIN}book"
    signer = NoteSigner(below, b"l" * 32)
    assert witness.add(Log(signer=signer, origin=below).body(0, 3)).status == 200
    assert witness.add(LOG.body(0, 4)).status == 200  # the two histories are not mixed up
    assert witness.add(Log(signer=NoteSigner(below, b"m" * 32), origin=below).body(3, 4)).status == 403
    assert witness.add(Log(signer=NoteSigner(beside, b"l" * 32), origin=beside).body(0, 3)).status == 404
    deep = f"{ORIGIN}/a/b/c/d"
    assert witness.add(Log(signer=NoteSigner(deep, b"l" * 32), origin=deep).body(0, 3)).status == 404


def test_the_empty_tree_has_one_root(root: Path) -> None:
    witness = opened(root)
    odd = SIGNER.sign(Checkpoint(ORIGIN, 0, b"x" * 32).text)
    assert witness.add(encode_submission(0, (), odd)).status == 409
    assert witness.add(encode_submission(0, (), SIGNER.sign(Checkpoint(ORIGIN, 0, EMPTY_ROOT).text))).status == 200
    assert witness.add(encode_submission(0, [b"x" * 32], LOG.note(3))).status == 422
    assert witness.add(LOG.body(0, 3)).status == 200


def test_extension_lines_and_signatures_of_others_are_let_through(root: Path) -> None:
    witness = opened(root)
    text = Checkpoint(ORIGIN, 3, LOG.root(0, 3)).text + "an extension\n"
    others = "".join(NoteSigner(f"other{number}", b"o" * 32).sign(text).rpartition("\n\n")[2] for number in range(99))
    answer = witness.add(encode_submission(0, (), SIGNER.sign(text) + others))
    assert answer.status == 200
    assert seen_by(text, parse_signatures(answer.body), [witness.key])
    assert witness.add(LOG.body(3, 5)).status == 200
    long = SIGNER.sign(text + "x" * 17_000 + "\n")
    assert witness.add(encode_submission(3, (), long)).status == 400


HEAD = b"old 0\n\n"
A_HASH = b64encode(b"h" * 32)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\n",
        b"old 0\n",
        b"old 0\n\n",
        b"old\n\n" + LOG.note(3).encode(),
        b"old 00\n\n" + LOG.note(3).encode(),
        b"old -1\n\n" + LOG.note(3).encode(),
        b"old  0\n\n" + LOG.note(3).encode(),
        b"old \xd9\xa7\n\n" + LOG.note(3).encode(),
        b"old 9223372036854775808\n\n" + LOG.note(3).encode(),
        b"OLD 0\n\n" + LOG.note(3).encode(),
        b"old 0\r\n\r\n" + LOG.note(3).encode(),
        b"old 0\n" + LOG.note(3).encode(),
        b"old 0\nnonsense\n\n" + LOG.note(3).encode(),
        b"old 0\nAAAA\n\n" + LOG.note(3).encode(),
        b"old 0\n" + A_HASH[:-2] + b"\n\n" + LOG.note(3).encode(),
        b"old 0\n" + (A_HASH + b"\n") * 64 + b"\n" + LOG.note(3).encode(),
        HEAD + LOG.note(3).encode()[:-1],
        HEAD + LOG.note(3).encode() + b"\n",
        HEAD + LOG.note(3).partition("\n\n")[0].encode() + b"\n\n",
        HEAD + SIGNER.sign("only\ntwo\n").encode(),
        HEAD + SIGNER.sign(f"{ORIGIN}\n3\nAAAA\n").encode(),
        HEAD + SIGNER.sign(Checkpoint(ORIGIN, 3, EMPTY_ROOT).text.replace("3", "03")).encode(),
        HEAD + b"\xff" + LOG.note(3).encode(),
    ],
)
def test_what_is_malformed_is_refused(root: Path, body: bytes) -> None:
    witness = opened(root)
    answer = witness.add(body)
    assert answer.status == 400
    assert answer.body.endswith("\n")
    assert witness.last_note(log_id(ORIGIN)) is None


def test_a_proof_of_63_lines_is_read() -> None:
    body = b"old 1\n" + (A_HASH + b"\n") * 63 + b"\n" + LOG.note(3).encode()
    assert Submission.parse(body).proof == (b"h" * 32,) * 63


def test_the_request_of_the_specification() -> None:
    """Its example, but for the signatures."""
    proof = (
        "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
        "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
    )
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    body = f"old 20852014\n{proof}\n{SIGNER.sign(text)}".encode()
    submission = Submission.parse(body)
    assert (submission.old_size, submission.checkpoint.text) == (20852014, text)
    assert encode_submission(submission.old_size, submission.proof, submission.note.encode()) == body


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_was_changed_on_the_way_is_cosigned(root: Path, data: Any) -> None:
    """Through the application, cut into pieces: bytes flipped, cut out, doubled, put in."""
    good = LOG.body(0, 6) if data.draw(st.booleans()) else LOG.body(3, 6)
    start = data.draw(st.integers(0, len(good)))
    stop = data.draw(st.integers(start, min(start + 40, len(good))))
    body = good[:start] + data.draw(st.one_of(st.binary(max_size=40), st.just(good[start:stop] * 2))) + good[stop:]
    reply = ask(application(Witness(root)), "POST", "/add-checkpoint", [body[:start], body[start:]])
    assert reply.status in (200, 400, 403, 404, 409, 422)
    if reply.status == 200:
        submission = Submission.parse(body)
        assert (submission.checkpoint.root, submission.checkpoint.size) == (LOG.root(0, 6), 6)


def test_the_application(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    web = application(opened(root), body_timeout_s=0.05)
    assert ask(web, "POST", "/add-checkpoint", [LOG.body(0, 3)]).status == 200
    conflict = ask(web, "POST", "/add-checkpoint", [LOG.body(0, 4)])
    assert (conflict.status, conflict.body) == (409, b"3\n")
    assert conflict.headers["content-type"] == "text/x.tlog.size"
    assert ask(web, "POST", "/add-checkpoint", [b"x" * 40_000, b"x" * (MAX_BODY_BYTES - 39_999)]).status == 413
    assert ask(web, "GET", "/add-checkpoint").status == 405
    assert ask(web, "POST", "/").status == 404
    shown = ask(web, "GET", f"/checkpoint/{log_id(ORIGIN)}")
    assert shown.body.startswith(LOG.note(3).partition("\n\n")[0].encode())
    for name in ("x", "../witness.toml", "..%2fwitness.toml", log_id("other"), log_id(ORIGIN).upper()):
        assert ask(web, "GET", f"/checkpoint/{name}").status == 404

    (root / "checkpoints" / log_id(ORIGIN)).write_text(LOG.note(2))
    broken = ask(web, "POST", "/add-checkpoint", [LOG.body(2, 3)])
    assert broken.status == 500
    assert str(root).encode() not in broken.body
    assert "this witness has not signed it" in capfd.readouterr().err


def test_a_request_that_does_not_come_is_not_waited_for(root: Path) -> None:
    class Endless(list[bytes]):
        def __len__(self) -> int:
            return 2

    web = application(opened(root), body_timeout_s=0.05)
    assert ask(web, "POST", "/add-checkpoint", Endless([b"old 0\n"])).status == 408


def test_a_state_that_was_changed_is_not_built_upon(root: Path) -> None:
    witness = opened(root)
    witness.add(LOG.body(0, 4))
    path = root / "checkpoints" / log_id(ORIGIN)
    for damaged in (b"", b"x", LOG.note(2).encode(), path.read_bytes().replace(b"\n4\n", b"\n3\n")):
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match="Nothing is signed because of it"):
            witness.add(LOG.body(4, 6))
    path = root / "logs" / f"{log_id(ORIGIN)}.toml"
    path.write_bytes(path.read_bytes().replace(b"example", b"exemple"))
    with pytest.raises(StorageError, match="checksum"):
        witness.add(LOG.body(4, 6))


class SlowDoor(Door):
    """A disk that takes its time over the first state, until the second one is there, if it comes."""

    def __init__(self) -> None:
        self.entered, self.second = Event(), Event()

    def replace(self, path: Path, data: bytes) -> None:
        if self.entered.is_set():
            self.second.set()
        self.entered.set()
        self.second.wait(0.2)
        super().replace(path, data)


def test_of_two_histories_at_the_same_time_one_is_cosigned(root: Path) -> None:
    door = SlowDoor()
    witness = opened(root, door)
    statuses: list[int] = []

    def add(log: Log) -> None:
        statuses.append(witness.add(log.body(0, 6)).status)

    first = Thread(target=add, args=(LOG,))
    first.start()
    assert door.entered.wait(10)
    add(FORK)
    first.join(10)
    assert sorted(statuses) == [200, 409]


class NotingDoor(Door):
    """A disk that notes the order of what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def force(self, descriptor: Any) -> None:
        self.asked.append("force")

    def rename(self, old: Path, new: Path) -> None:
        self.asked.append(f"rename to {new.parent.name}/{new.name}")
        super().rename(old, new)

    def force_directory(self, path: Path) -> None:
        self.asked.append(f"force {path.name}")


def test_the_state_is_on_the_disk_before_the_answer_leaves(root: Path) -> None:
    door = NotingDoor()
    assert opened(root, door).add(LOG.body(0, 3)).status == 200
    assert door.asked == ["force", f"rename to checkpoints/{log_id(ORIGIN)}", "force checkpoints"]


class BrokenDoor(Door):
    """A disk on which the states' directory cannot be forced."""

    def force_directory(self, path: Path) -> None:
        if path.name == "checkpoints":
            raise OSError(errno.EIO, "Input/output error")
        super().force_directory(path)


def test_nothing_is_signed_that_may_not_be_on_the_disk(root: Path) -> None:
    witness = opened(root, BrokenDoor())
    with pytest.raises(StorageError):
        witness.add(LOG.body(0, 3))
    witness._door = Door()
    with pytest.raises(StorageError):  # nor afterwards, until somebody has looked
        witness.add(LOG.body(3, 4))
    assert opened(root).add(LOG.body(3, 4)).status == 200


def test_the_secret_is_its_owners(root: Path) -> None:
    assert stat.S_IMODE((root / "witness.toml").stat().st_mode) == 0o600
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_making_one(tmp_path: Path) -> None:
    key = create(tmp_path / "a" / "b", NAME)
    assert Witness(tmp_path / "a" / "b").key == key
    with pytest.raises(InvalidData, match="already"):
        create(tmp_path / "a" / "b", NAME)
    with pytest.raises(InvalidData, match="not empty"):
        create(tmp_path / "a", NAME)
    for name in ("", "a b", "a+b"):
        with pytest.raises(InvalidData):
            create(tmp_path / "c", name)
    assert not (tmp_path / "c").exists()
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        create(tmp_path / "file" / "c", NAME)
    with pytest.raises(InvalidData, match="witness init"):
        Witness(tmp_path)


def test_trusting(root: Path) -> None:
    witness = opened(root)
    part = "example.org/log/part"
    with pytest.raises(InvalidData, match="mistyped"):
        witness.trust(str(SIGNER.key).replace("log", "lag"))
    with pytest.raises(InvalidData, match="key of a witness"):
        witness.trust(str(Cosigner("w", b"w" * 32).key))
    with pytest.raises(InvalidData):
        witness.trust(str(SIGNER.key), "two\nlines")
    newer = NoteSigner(ORIGIN, b"n" * 32)
    witness.trust(str(newer.key))
    assert witness.trust(str(SIGNER.key), part) == part
    assert witness.add(Log(signer=newer).body(0, 2)).status == 200
    assert witness.add(LOG.body(2, 3)).status == 200
    assert witness.add(Log(signer=NoteSigner(part, b"l" * 32), origin=part).body(0, 3)).status == 200
    assert witness.add(Log(origin=part).body(3, 4)).status == 200


def test_one_process_at_a_time_serves_it(root: Path) -> None:
    witness = opened(root)
    lock = witness.lock()
    with pytest.raises(DatabaseLocked, match="is served by this process; stop that first"):
        opened(root).lock()
    witness.unlock(lock)
    witness.unlock(witness.lock())
