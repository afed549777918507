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


def test_a_backup_that_breaks_is_not_taken_for_whole(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", key_file=str(tmp_path / "key.toml")) as db, running(db) as served:
        refused = served.ask("GET", "/api/v1/backup?signing_key=true")
        assert (refused.status, refused.json["error"]) == (400, "InvalidData")
