"""Tokens: what the file keeps, who is let in by it, and that nobody is when it was tampered with."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from blockdb.config import Sources
from blockdb.errors import (
    ConfigError,
    DatabaseLocked,
    DatabaseNotFound,
    InvalidData,
    StorageError,
    Unauthenticated,
)
from blockdb.format import checked_toml
from blockdb.layout import DatabaseFiles
from blockdb.security.exposure import Exposure
from blockdb.security.roles import ANONYMOUS, Principal, Role
from blockdb.server import tokens
from blockdb.server.authentication import Authenticator
from blockdb.server.serving import _check_address
from blockdb.server.tokens import TokenFile, TokenInfo, parse_token
from blockdb.storage.door import Door
from tests.tiers import tiers

REQUIRED = Exposure(True, False, ())
OPEN = Exposure(False, False, ())
UNTIL_A_TOKEN = Exposure(False, True, ())
NOW_S = 1_700_000_000


@dataclass
class Times:
    """A clock and a timer that stand still until they are moved."""

    now_s: float = NOW_S
    timer_s: float = 0
    looks: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now_s

    def timer(self) -> float:
        return self.timer_s

    def later(self, seconds: float) -> None:
        self.now_s += seconds
        self.timer_s += seconds


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def file(tmp_path: Path, times: Times) -> TokenFile:
    return TokenFile(tmp_path / "db", clock=times.clock)


@pytest.fixture
def server(tmp_path: Path, times: Times) -> Callable[..., Authenticator]:
    """A server that has just been started."""

    def server(exposure: Exposure = REQUIRED) -> Authenticator:
        return Authenticator(tmp_path / "db", exposure, None, times.clock, times.timer)

    return server


def refused(server: Authenticator, token: str | None) -> str:
    with pytest.raises(Unauthenticated) as error:
        server.principal(token)
    return str(error.value)


# ── a file that somebody else keeps ──────────────────────────────────────────────────────────────────────────────


def test_tokens_of_a_mounted_file_are_good_until_it_is_replaced(file: TokenFile, times: Times, tmp_path: Path) -> None:
    """It is a link to another file that is exchanged as a whole, as secrets are mounted."""
    _, own = file.create("own", Role.READER)
    made = [TokenFile(tmp_path / name, clock=times.clock) for name in ("before", "after")]
    old, new = (each.create("mounted", Role.ADMIN)[1] for each in made)
    mounted = tmp_path / "tokens.toml"
    mounted.symlink_to(made[0].path)
    server = Authenticator(tmp_path / "db", REQUIRED, None, times.clock, times.timer, further=mounted)
    assert [server.principal(token).role for token in (own, old)] == [Role.READER, Role.ADMIN]
    mounted.unlink()
    mounted.symlink_to(made[1].path)
    times.later(1)
    refused(server, old)
    assert [server.principal(token).role for token in (own, new)] == [Role.READER, Role.ADMIN]
    mounted.unlink()
    times.later(1)
    assert "damaged or cannot be read" in refused(server, own), "what is not known lets nobody in"
    assert server.problem is not None


def test_a_mounted_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = Sources(None, {}, {"data_dir": str(tmp_path), "security.tokens_file": str(tmp_path / "no.toml")}).config()
    with pytest.raises(ConfigError, match=r"\[security\] tokens_file: .*no.toml: the file is missing"):
        _check_address(config, "0.0.0.0", has_tls=True)


def test_a_mounted_file_is_enough_to_listen_where_others_reach(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "made")
    file.create("root", Role.ADMIN)
    given = {"data_dir": str(tmp_path / "db"), "security.tokens_file": str(file.path)}
    assert _check_address(Sources(None, {}, given).config(), "0.0.0.0", has_tls=True).authentication_required


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_token_is_kept_as_a_hash(file: TokenFile, tmp_path: Path) -> None:
    info, token = file.create("shop", Role.WRITER, ["orders", "lines"], b"\xffu:", (NOW_S + 60) * 1000)
    parsed = parse_token(token)
    assert parsed is not None
    token_id, secret = parsed
    assert token == f"bdb_{token_id}_{secret}"
    assert len(bytes.fromhex(secret)) == 32
    kept = file.path.read_text()
    assert secret not in kept
    assert sha256(secret.encode()).hexdigest() in kept
    assert secret not in repr(info)
    assert info.secret_sha256.hex() not in repr(info)
    assert file.list() == (info,)
    names = frozenset({"orders", "lines"})
    assert info.principal == Principal("shop", Role.WRITER, names, b"\xffu:", token_id, (NOW_S + 60) * 1000)
    for path in (file.path, file.path.with_name("tokens.lock")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in file.path.parent.iterdir()) == ["tokens.lock", "tokens.toml"]


@pytest.mark.parametrize(
    ("name", "collections", "prefix", "expires_ms", "words"),
    [
        ("", None, b"", None, "A token cannot be called ''"),
        (" x", None, b"", None, "cannot be called"),
        ("a\nb", None, b"", None, "cannot be called"),
        ("\x1b[2J", None, b"", None, "cannot be called"),
        ("x" * 65, None, b"", None, "cannot be called"),
        ("anonymous", None, b"", None, "Choose another name"),
        ("taken", None, b"", None, "There is a token named 'taken'"),
        ("x", [], b"", None, "good for nothing"),
        ("x", ["a/b"], b"", None, "A collection cannot be called 'a/b'"),
        ("x", None, b"p" * 1025, None, "A prefix has at most 1024 bytes"),
        ("x", None, b"", NOW_S * 1000, "expired already"),
    ],
)
def test_what_cannot_be_a_token(
    file: TokenFile, name: str, collections: list[str] | None, prefix: bytes, expires_ms: int | None, words: str
) -> None:
    file.create("taken", Role.READER)
    with pytest.raises(InvalidData, match=words):
        file.create(name, Role.READER, collections, prefix, expires_ms)
    assert [token.name for token in file.list()] == ["taken"]


def test_there_may_not_be_any_number(file: TokenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blockdb.security.tokens.MOST_TOKENS", 2)
    for name in "ab":
        file.create(name, Role.READER)
    with pytest.raises(InvalidData, match="there may be no more"):
        file.create("c", Role.READER)


def test_a_revoked_token_is_gone(file: TokenFile) -> None:
    kept, _ = file.create("a", Role.READER)
    gone, _ = file.create("b", Role.ADMIN)
    assert file.revoke(gone.id) == gone
    assert file.list() == (kept,)
    with pytest.raises(InvalidData, match=f"no token with the id '{gone.id}'"):
        file.revoke(gone.id)
    file.create("b", Role.READER)  # its name is free again


def test_where_there_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotFound):
        TokenFile(tmp_path / "nothing").list()
    with pytest.raises(DatabaseNotFound):
        TokenFile(tmp_path / "nothing").revoke("x")
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to_mother.txt").touch()
    with pytest.raises(DatabaseNotFound, match="not empty"):
        TokenFile(tmp_path / "letters").create("a", Role.READER)


def test_it_can_be_made_before_the_database(file: TokenFile, tmp_path: Path) -> None:
    import blockdb

    info, _ = file.create("first", Role.ADMIN)
    with blockdb.open(tmp_path / "db") as db:
        db.put(b"k", b"v")
        assert db.verify().valid
    assert file.list() == (info,)


def test_many_at_a_time_lose_nothing(file: TokenFile) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda number: file.create(f"t{number}", Role.READER)[0], range(12)))
    assert {token.id for token in file.list()} == {token.id for token in made}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda token: file.revoke(token.id), made))
    assert file.list() == ()


def test_who_keeps_the_lock_is_not_waited_for_without_end(file: TokenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    info, _ = file.create("a", Role.READER)
    monkeypatch.setattr(tokens, "LOCK_TIMEOUT_S", 0.0)
    lock = Door().lock(file.path.with_name("tokens.lock"))
    with pytest.raises(DatabaseLocked, match=r"tokens\.lock"):
        file.revoke(info.id)
    Door().unlock(lock)
    file.revoke(info.id)


def test_a_full_disk_leaves_what_there_was(tmp_path: Path, file: TokenFile) -> None:
    class Full(Door):
        def create(self, path: Path, data: bytes) -> None:
            raise OSError(28, "No space left on device", str(path))

    info, _ = file.create("a", Role.READER)
    with pytest.raises(StorageError, match="free some space"):
        TokenFile(tmp_path / "db", Full()).create("b", Role.READER)
    assert file.list() == (info,)


# ── who is let in ────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_asks(file: TokenFile, server: Callable[..., Authenticator]) -> None:
    info, token = file.create("shop", Role.WRITER, ["orders"])
    running = server()
    assert running.principal(token) == running.principal(None, "shop") == info.principal
    assert running.principal(token) is running.principal(token)
    assert "Give a token" in refused(running, None)


def test_what_is_not_a_token_lets_nobody_in(file: TokenFile, server: Callable[..., Authenticator]) -> None:
    info, token = file.create("a", Role.ADMIN)
    other, other_token = file.create("b", Role.ADMIN)
    running = server()
    secret, other_secret = token.rpartition("_")[2], other_token.rpartition("_")[2]
    wrong = [
        "",
        "bdb",
        "bdb__",
        "Bearer " + token,
        token.upper(),
        token + " ",
        token[:-1],
        token + "0",
        token[:-1] + ("0" if token[-1] != "0" else "1"),
        f"bdb_{info.id}_{other_secret}",
        f"bdb_{other.id}_{secret}",
        f"bdb_{info.id}_{'0' * 64}",
        f"bdb_{info.id}_{info.secret_sha256.hex()}",
        f"bdb_{'0' * 16}_{secret}",
        f"bdb_{info.id}_{'é' * 64}",
        f"bdb_{info.id}_\ud800" + "0" * 63,
        f"bdb_{info.id}_" + "\0" * 64,
    ]
    assert len({refused(running, text) for text in wrong}) == 1, "and nobody learns what was wrong with it"
    with pytest.raises(Unauthenticated):
        running.principal(None, "c")


@given(st.text() | st.text("bd_0123456789abcdef").map("bdb_".__add__) | st.characters(codec=None))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_is_sent_for_a_token(server: Callable[..., Authenticator], text: str) -> None:
    refused(server(), text)


def test_an_expired_token(file: TokenFile, server: Callable[..., Authenticator], times: Times) -> None:
    _, token = file.create("a", Role.READER, expires_ms=(NOW_S + 60) * 1000)
    running = server()
    times.later(59.999)
    assert running.principal(token).name == running.principal(None, "a").name == "a"
    times.later(0.001)
    assert refused(running, token) == "The token 'a' has expired. Ask for another one."
    assert "not known here" in refused(running, token[:-8] + "00000000")
    with pytest.raises(Unauthenticated, match="has expired"):
        running.principal(None, "a")


def test_it_is_revoked_within_a_second(file: TokenFile, server: Callable[..., Authenticator], times: Times) -> None:
    info, token = file.create("a", Role.READER)
    running = server()
    file.revoke(info.id)
    times.later(0.5)
    assert "was revoked" in refused(running, token)
    _, token = file.create("b", Role.READER)
    times.later(0.5)
    assert running.principal(token).name == "b"


def test_who_was_let_in_may_not_stay_for_ever(
    file: TokenFile, server: Callable[..., Authenticator], times: Times, tmp_path: Path
) -> None:
    info, token = file.create("a", Role.READER)
    _, short = file.create("b", Role.READER, expires_ms=(NOW_S + 60) * 1000)
    running = server()
    one, other = running.principal(token), running.principal(short)
    for who in (one, other):
        running.check(who)
    with pytest.raises(Unauthenticated):
        running.check(ANONYMOUS)
    file.revoke(info.id)
    times.later(0.5)
    with pytest.raises(Unauthenticated, match="was revoked"):
        running.check(one)
    running.check(other)
    times.later(60)
    with pytest.raises(Unauthenticated, match="has expired"):
        running.check(other)
    server(OPEN).check(ANONYMOUS)
    file.path.write_text("")
    times.later(0.5)
    with pytest.raises(Unauthenticated, match="Nobody is let in"):
        running.check(other)


def test_the_file_is_looked_at_twice_a_second_at_most(
    file: TokenFile, server: Callable[..., Authenticator], times: Times, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blockdb.server import authentication

    _, token = file.create("a", Role.READER)
    running = server()
    looks: list[Path] = []

    def identity_of(path: Path) -> tuple[int, ...]:
        looks.append(path)
        return ()

    monkeypatch.setattr(authentication, "identity_of", identity_of)
    for _ in range(100):
        times.later(0.02)
        running.principal(token)
    assert len(looks) <= 4


def test_where_nobody_has_to_say_who_they_are(
    file: TokenFile, server: Callable[..., Authenticator], tmp_path: Path, times: Times
) -> None:
    DatabaseFiles(tmp_path / "db").server.mkdir(parents=True)
    off, auto = server(OPEN), server(UNTIL_A_TOKEN)
    assert off.principal(None) is auto.principal(None) is ANONYMOUS
    assert not auto.is_required
    info, token = file.create("a", Role.READER)
    times.later(0.5)
    assert off.principal(None) is ANONYMOUS
    assert off.principal(token).name == "a"
    assert "not known" in refused(off, token[:-8] + "00000000"), "a bad token is not as good as none"
    assert auto.is_required
    refused(auto, None)
    file.revoke(info.id)
    times.later(0.5)
    refused(auto, None)  # it does not open again behind the last token
    file.path.unlink()
    times.later(0.5)
    refused(auto, None)


# ── tampering ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("step", tiers([11], [1]))
def test_every_flipped_byte_shuts_the_door(
    step: int, file: TokenFile, server: Callable[..., Authenticator], times: Times, caplog: pytest.LogCaptureFixture
) -> None:
    _, token = file.create("a", Role.READER, ["c"], b"p", (NOW_S + 60_000) * 1000)
    whole = file.path.read_bytes()
    running = server()
    for offset in range(0, len(whole), step):
        file.path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
        with pytest.raises(StorageError, match="Nobody is let in because of it"):
            file.list()
    times.later(0.5)
    with caplog.at_level(logging.WARNING):
        assert "Nobody is let in" in refused(running, token)
        times.later(0.5)
        assert refused(running, None) == running.problem
        with pytest.raises(Unauthenticated):
            running.principal(None, "a")
        with pytest.raises(StorageError):
            file.create("b", Role.ADMIN)
        file.path.write_bytes(whole)
        times.later(0.5)
        assert running.principal(token).name == "a"
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert running.problem is None


@pytest.mark.parametrize(
    "change",
    [
        {"role": "owner"},
        {"role": ["admin"]},
        {"sha256": "00"},
        {"sha256": "zz"},
        {"id": 7},
        {"collections": "all"},
        {"collections": []},
        {"collections": [1]},
        {"created_ms": "now"},
        {"expires_ms": True},
        {"expires_ms": 1.5},
        {"networks": ["10.0.0.0/8"]},
        {"name": "anonymous"},
        {"prefix": "u:"},
    ],
    ids=str,
)
def test_what_is_not_understood_shuts_the_door(
    file: TokenFile, server: Callable[..., Authenticator], change: dict[str, object]
) -> None:
    """Also with a checksum that is right: a newer version, or somebody who writes it with a program."""
    _, token = file.create("a", Role.READER)
    values = checked_toml.decode(file.path.read_bytes())
    values["tokens"][0] |= change
    file.path.write_bytes(checked_toml.encode(values))
    with pytest.raises(StorageError, match="it holds no tokens"):
        file.list()
    assert "Nobody is let in" in refused(server(), token)


def test_other_files_in_its_place_shut_the_door(file: TokenFile, server: Callable[..., Authenticator]) -> None:
    _, token = file.create("a", Role.READER)
    values = checked_toml.decode(file.path.read_bytes())
    twice = values | {"tokens": values["tokens"] * 2}
    for other in (
        values | {"kind": "registry"},
        values | {"format": 2},
        twice,
        {"kind": "list of tokens", "format": 1},
    ):
        file.path.write_bytes(checked_toml.encode(other))
        refused(server(), token)
        refused(server(UNTIL_A_TOKEN), None)
    file.path.unlink()
    file.path.mkdir()
    refused(server(), token)


# ── a model ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Model(RuleBasedStateMachine):
    """Processes change the tokens while a server runs; who is let in is what a dictionary says."""

    made = Bundle("made")

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        from tempfile import TemporaryDirectory

        self.directory = TemporaryDirectory()
        root = Path(self.directory.name)
        self.times = Times()
        self.root = root
        self.good: dict[str, tuple[TokenInfo, str]] = {}
        TokenFile(root, clock=self.times.clock)
        DatabaseFiles(root).server.mkdir()
        self.server = Authenticator(root, UNTIL_A_TOKEN, None, self.times.clock, self.times.timer)
        self.had_any = False

    @property
    def file(self) -> TokenFile:
        return TokenFile(self.root, clock=self.times.clock)

    @rule(
        target=made,
        name=st.sampled_from("abcdef"),
        role=st.sampled_from(Role),
        collections=st.none() | st.frozensets(st.sampled_from(["orders", "lines"]), min_size=1),
        prefix=st.sampled_from([b"", b"u:", b"\xff\0"]),
        lasts_s=st.none() | st.integers(1, 30),
    )
    def create(
        self, name: str, role: Role, collections: frozenset[str] | None, prefix: bytes, lasts_s: int | None
    ) -> tuple[str, str]:
        expires_ms = None if lasts_s is None else int((self.times.now_s + lasts_s) * 1000)
        if any(info.name == name for info, _ in self.good.values()):
            with pytest.raises(InvalidData):
                self.file.create(name, role, collections, prefix, expires_ms)
            return "", "bdb_0000000000000000_" + "0" * 64
        info, token = self.file.create(name, role, collections, prefix, expires_ms)
        assert (info.name, info.role, info.collections, info.prefix) == (name, role, collections, prefix)
        self.good[info.id] = info, token
        self.had_any = True
        return info.id, token

    @rule(which=consumes(made))
    def revoke(self, which: tuple[str, str]) -> None:
        if which[0]:
            assert self.file.revoke(which[0]) == self.good.pop(which[0])[0]

    @rule(seconds=st.sampled_from([0.5, 0.9, 10, 31]))
    def later(self, seconds: float) -> None:
        self.times.later(seconds)

    @rule(which=made)
    def ask(self, which: tuple[str, str]) -> None:
        self.times.later(0.5)
        found = self.good.get(which[0])
        if found is None or (found[0].expires_ms is not None and found[0].expires_ms <= self.times.now_s * 1000):
            with pytest.raises(Unauthenticated):
                self.server.principal(which[1])
        else:
            assert self.server.principal(which[1]) == self.server.principal(None, found[0].name) == found[0].principal

    @rule()
    def ask_without(self) -> None:
        self.times.later(0.5)
        if self.had_any:
            with pytest.raises(Unauthenticated):
                self.server.principal(None)
        else:
            assert self.server.principal(None) is ANONYMOUS

    @invariant()
    def the_file_is_the_model(self) -> None:
        if hasattr(self, "root"):
            assert self.file.list() == tuple(info for info, _ in self.good.values())

    def teardown(self) -> None:
        if hasattr(self, "directory"):
            self.directory.cleanup()


TestModel = pytest.mark.torture(Model.TestCase)
Model.TestCase.settings = settings(max_examples=200, suppress_health_check=list(HealthCheck), deadline=None)


def test_a_short_run_of_the_model() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Model, settings=settings(max_examples=5, stateful_step_count=15, deadline=None, database=None)
    )
