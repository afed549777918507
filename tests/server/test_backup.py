"""A backup through the door."""

from pathlib import Path

import blockdb
from tests.server.harness import running


def test_a_backup_over_http_is_one(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put_many([(b"key%d" % number, bytes(1000)) for number in range(50)])
        with running(db) as served:
            answer = served.ask("GET", "/api/v1/backup?signing_key=true")
            assert served.ask("GET", "/api/v1/backup?nothing=1").status == 400
    assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
    restored = blockdb.restore([answer.body], tmp_path / "copy")
    assert restored.report is not None
    assert restored.report.valid
    with blockdb.open(tmp_path / "copy") as copy:
        assert copy.count() == 50


def test_what_is_new_over_http_is_one_too(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.put_many([(b"key%d" % number, bytes(1000)) for number in range(50)])
        with running(db) as served:
            (tmp_path / "full").write_bytes(served.ask("GET", "/api/v1/backup").body)
            db.put(b"more", b"1")
            with blockdb.connect(served.url) as remote:
                more = b"".join(remote.backup(since=tmp_path / "full"))
            refused = served.ask("POST", "/api/v1/backup", b'{"since": "something"}')
            assert (refused.status, refused.json["error"]) == (400, "InvalidData")
    restored = blockdb.restore([(tmp_path / "full").read_bytes()], tmp_path / "copy", increments=[[more]])
    assert restored.report is not None
    assert (restored.report.problems, restored.report.records) == ((), 51)


def test_a_backup_that_breaks_is_not_taken_for_whole(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", key_file=str(tmp_path / "key.toml")) as db, running(db) as served:
        refused = served.ask("GET", "/api/v1/backup?signing_key=true")
        assert (refused.status, refused.json["error"]) == (400, "InvalidData")
