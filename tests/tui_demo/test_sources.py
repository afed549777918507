"""The demo's records: commits as git tells them, trades as the seed makes them."""

import json
import subprocess
from itertools import islice
from pathlib import Path

import pytest

from blockdb_tui.demo import sources


def git(repository: Path, *arguments: str, stdin: bytes = b"") -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(repository), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, input=stdin).stdout.decode().strip()


def commit(repository: Path, subject: str) -> str:
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", subject)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    home = tmp_path / "shelf"
    home.mkdir()
    git(home, "init", "--quiet", "--initial-branch", "main")
    return home


def test_commits_come_oldest_first_with_their_counts(repository: Path) -> None:
    (repository / "tab\tand\nline").write_text("one\ntwo\n")
    first = commit(repository, 'A "first" – with a dash')
    (repository / "tab\tand\nline").rename(repository / "renamed")
    (repository / "picture").write_bytes(b"\0\1\2")
    second = commit(repository, "Rename\n\nA body that is no subject")
    third = commit(repository, "Nothing changed")

    found = {key: json.loads(value) for key, value in sources.git_commits(repository)}

    assert list(found) == [b"commit:" + name.encode() for name in (first, second, third)]
    assert [(v["files"], v["insertions"], v["deletions"]) for v in found.values()] == [(1, 2, 0), (2, 0, 0), (0, 0, 0)]
    assert [v["subject"] for v in found.values()] == ['A "first" – with a dash', "Rename", "Nothing changed"]
    assert [v["parents"] for v in found.values()] == [[], [first], [second]]
    assert {v["repository"] for v in found.values()} == {"shelf"}
    assert all(v["committed_at"] > 1_600_000_000 for v in found.values())


def test_a_merge_names_both_parents(repository: Path) -> None:
    root = commit(repository, "root")
    git(repository, "switch", "--quiet", "--create", "side")
    side = commit(repository, "side")
    git(repository, "switch", "--quiet", "main")
    main = commit(repository, "main")
    git(repository, "merge", "--quiet", "--no-ff", "side", "--message", "together")

    *_, (_, merge) = sources.git_commits(repository)

    assert json.loads(merge)["parents"] == [main, side]
    assert root not in json.loads(merge)["parents"]


def test_a_subject_that_is_not_utf8_is_still_json(repository: Path) -> None:
    commit(repository, "made by a careful program")
    whole = git(repository, "cat-file", "commit", "HEAD").replace("careful", "caf\udce9 \x1b[31m")
    raw = whole.encode("utf-8", "surrogateescape")
    name = git(repository, "hash-object", "-t", "commit", "-w", "--stdin", stdin=raw)
    git(repository, "update-ref", "HEAD", name)

    [(_, value)] = sources.git_commits(repository)

    assert json.loads(value)["subject"] == "made by a caf\N{REPLACEMENT CHARACTER} \x1b[31m program"


def test_more_than_one_chunk_is_read_whole(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [commit(repository, f"commit {n}") for n in range(5)]
    monkeypatch.setattr(sources, "CHUNK_BYTES", 7)
    assert [key.decode() for key, _ in sources.git_commits(repository)] == [f"commit:{name}" for name in names]


def test_stopping_early_leaves_no_git_behind(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = sources._git_log
    monkeypatch.setattr(sources, "_git_log", lambda path: started.append(start(path)) or started[-1])
    for n in range(3):
        commit(repository, f"commit {n}")

    commits = sources.git_commits(repository)
    next(commits)
    commits.close()  # type: ignore[attr-defined]

    assert started[0].returncode is not None


def test_another_repository_in_the_environment_is_not_read(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = commit(repository, "wanted")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    commit(other, "not wanted")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert [key for key, _ in sources.git_commits(repository)] == [b"commit:" + wanted.encode()]


def test_no_repository_no_commits_no_git(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert list(sources.git_commits(repository)) == []
    assert list(sources.git_commits(empty)) == []
    commit(repository, "there, but nobody can read it")
    monkeypatch.setenv("PATH", str(empty))
    assert list(sources.git_commits(repository)) == []


def test_records_are_commits_filled_up_with_trades(repository: Path) -> None:
    assert [key for key, _ in islice(sources.records(repository), 2)] == [b"trade:0000000000", b"trade:0000000001"]
    name = commit(repository, "the only one")
    keys = [key for key, _ in sources.records(repository)]
    assert keys[:2] == [b"commit:" + name.encode(), b"trade:0000000000"]
    assert len(keys) == sources.HISTORY_RECORDS


def test_a_long_history_needs_no_trades(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "HISTORY_RECORDS", 1)
    names = [commit(repository, "one"), commit(repository, "two")]
    assert [key for key, _ in sources.records(repository)] == [b"commit:" + name.encode() for name in names]


def test_a_history_of_trades_ends(tmp_path: Path) -> None:
    assert sum(1 for _ in sources.records(tmp_path)) == sources.HISTORY_RECORDS


def test_trades_follow_from_the_seed() -> None:
    assert list(islice(sources.trades(7), 50)) == list(islice(sources.trades(7), 50))
    assert list(islice(sources.trades(7), 50)) != list(islice(sources.trades(8), 50))


def test_trades_look_like_trades() -> None:
    pairs = list(islice(sources.trades(7), 2_000))
    values = [json.loads(value) for _, value in pairs]

    assert [key for key, _ in pairs] == sorted(key for key, _ in pairs)
    assert [v["time"] for v in values] == sorted(v["time"] for v in values)
    assert all(v["price"] >= 1 and v["quantity"] >= 1 for v in values)
    assert {v["side"] for v in values} == {"buy", "sell"}
    for symbol, opening in sources.OPENING_PRICES.items():
        prices = [v["price"] for v in values if v["symbol"] == symbol]
        assert len(set(prices)) > 50
        assert all(abs(price / opening - 1) < 0.2 for price in prices)
