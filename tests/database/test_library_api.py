"""The library page: every name that it gives exists, and what it shows runs."""

import re
from pathlib import Path

import pytest

import blockdb
import blockdb.config

PAGE = (Path(__file__).parents[2] / "docs" / "API.md").read_text()
ROWS = re.findall(r"^\| (`.*?) \| (.*) \|$", PAGE, re.MULTILINE)
NAMES = sorted({name for _, here in ROWS for name in re.findall(r"`((?:blockdb\.|[A-Z])[\w.]+)", here)})


def test_the_table_is_whole() -> None:
    assert len(ROWS) >= 38
    assert "Collection.create_index" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_table_is_there(name: str) -> None:
    found: object = blockdb
    for part in name.removeprefix("blockdb.").split("."):
        found = getattr(found, part)
    assert found.__doc__


def test_what_the_page_shows_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [example] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example, "API.md", "exec"), {})
    with blockdb.open("./blockdb_data", read_only=True) as db:
        assert db["orders"].get(b"order:1") == b"three apples"
        assert [document.value["city"] for document in db["users"].find("exists email", order="email")] == ["Oslo"] * 2


def test_a_manager_of_collections_as_elsewhere(tmp_path: Path) -> None:
    """The tour that BlockDB's Rust interface is introduced with, by the names that the table gives."""
    with blockdb.open(tmp_path / "db", memtable_size_limit=64 * 1024 * 1024, blockchain_batch_size=1000) as db:
        db.put(b"key1", b"value1")
        assert db.get(b"key1") == b"value1"
        users = db.create_collection("users", created_by="admin")
        users.put(b"user:1001", b"Alice Smith")
        assert db[users.id].get(b"user:1001") == b"Alice Smith"
        assert [info.name for info in db.collections()] == ["default", "users"]
        assert users.collection_stats().document_count == 1
        assert db.verify().valid
        tenants = [db.create_collection(f"tenant_{letter}_data", created_by=f"tenant_{letter}") for letter in "ab"]
        for tenant, limit in zip(tenants, (b"1000", b"5000"), strict=True):
            tenant.put(b"config:api_limit", limit)
        assert [tenant.get(b"config:api_limit") for tenant in tenants] == [b"1000", b"5000"]
        total = db.total_stats()
        assert total == (4, 4, 10 + 20 + 2 * 20)
        with pytest.raises(blockdb.AppendOnly):
            users.delete(b"user:1001")
        assert list(users.keys(prefix=b"user:", limit=10)) == [b"user:1001"]
        transaction = db.begin_transaction()
        db.commit_transaction(transaction)
        assert db.execute_transaction(lambda tx: (tx.put(b"key2", b"value2"), tx.get(b"key1"))[1]) == b"value1"
        db.drop_collection("users")
        assert not db.has_collection("users")
