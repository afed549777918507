"""Schemas of collections: what is stored is as they say, and who follows whom."""

import json
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

import blockdb
from blockdb.database import schemas
from blockdb.documents.schema import Schema
from blockdb.errors import InvalidData, ReadOnly, UniqueViolation, ValidationError
from blockdb.format import checked_toml
from blockdb.storage.commit import Unprepared
from tests.storage.doors import until

AGE = {"field_type": "Integer", "validation_rules": [{"MinValue": 0}]}
USERS: dict[str, Any] = {
    "fields": {
        "name": {"field_type": "String", "required": True, "validation_rules": [{"Pattern": "^[A-Z]"}]},
        "age": {**AGE, "default_value": 18},
    },
    "indexes": [{"name": "by_name", "fields": ["name"], "unique": True}],
}
WIDER = {"fields": {"name": USERS["fields"]["name"], "age": {"field_type": "Float"}}}


def events(db: blockdb.Database) -> list[dict[str, Any]]:
    """What the journal tells of schemas."""
    journal = db._core.notary.journal()
    return [] if journal is None else [event for _, event in journal.events("schema set")]


def test_documents_are_checked_completed_and_stored(db: blockdb.Database) -> None:
    users = db.create_collection("users", schema=USERS)
    users.put(b"1", {"name": "Ann", "age": 5})
    users.put(b"2", {"name": "Bea"})
    raw = b'{ "age": 7,  "name": "C\\u0065" }'
    users.put_many([(b"3", raw), (b"4", b'{"name":"D","x":[]}')])
    stored = [users.get(b"%d" % number) for number in range(1, 5)]
    assert stored == [b'{"name":"Ann","age":5}', b'{"name":"Bea","age":18}', raw, b'{"name":"D","x":[],"age":18}']
    assert [index.name for index in users.indexes()] == ["by_name"]
    with pytest.raises(UniqueViolation):
        users.put(b"5", {"name": "Ce"})
    assert users.describe().schema == {**Schema.from_json(USERS).numbered(1).to_json()}
    assert db.describe().schema is None


def test_the_document_that_was_given_stays_as_it_was(db: blockdb.Database) -> None:
    users = db.create_collection(
        "users", schema={"fields": {"a": {"field_type": "Object"}, "a.b": {**AGE, "default_value": 1}}}
    )
    given: dict[str, Any] = {"a": {}}
    users.put(b"1", given)
    assert given == {"a": {}}
    assert users.get(b"1") == b'{"a":{"b":1}}'


REFUSED: list[tuple[Any, type[InvalidData], str]] = [
    ({"name": "ann", "age": -1}, ValidationError, "of key 'k' .*`name` does not match.*`age` is -1"),
    (b'{"age":"x"}', ValidationError, '`name` is missing.*`age` is "x"'),
    (b"[]", InvalidData, "value of key 'k' cannot be stored. .* this is an array"),
    (b'{"name":"Ann",}', InvalidData, "invalid JSON at byte 14"),
    (b"\xff", InvalidData, "UTF-8 at byte 0"),
    ({"name": "Ann", "x": {1}}, InvalidData, "`x` is of the type set"),
    ("Ann", InvalidData, "A value is bytes, not str"),
    ({"name": "A" * 300}, InvalidData, "at most 200 bytes"),
    (b'{"name":"' + b"A" * 185 + b'"}', InvalidData, "at most 200 bytes"),
]


def test_what_is_not_valid_is_refused(db: blockdb.Database) -> None:
    users = db.create_collection("users", schema=USERS, settings={"max_document_size": 200})
    for value, error, what in REFUSED:
        with pytest.raises(error, match=what):
            users.put(b"k", value)
        with pytest.raises(error, match=what):
            users.put_many([(b"a", {"name": "A"}), (b"k", value)])
    assert users.count() == 0


def test_documents_may_be_put_where_no_schema_is(db: blockdb.Database) -> None:
    db.put(b"1", {"a": b"hi"})
    db.put_many([(b"2", {"a": 2}), (b"3", b"raw")])
    assert [value for _, value in db.scan()] == [b'{"a":"aGk="}', b'{"a":2}', b"raw"]
    for pair in ((b"4", {"a": float("nan")}), (b"4", ["a"]), ("4", {})):
        with pytest.raises(InvalidData):
            db.put(*pair)  # type: ignore[arg-type]
        with pytest.raises(InvalidData):
            db.put_many([pair])  # type: ignore[list-item]


def test_records_that_are_there_must_be_valid(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", redactable=True) as db:
        db.put_many([(b"%d" % number, {"name": "A", "age": number}) for number in range(10)])
        db.put_many([(b"bad", {"name": "x"}), (b"worse", b"raw")])
        with pytest.raises(InvalidData, match=r"not set: record 10, of key 'bad', .*`name` does not match"):
            db.set_schema(USERS)
        db.redact(b"bad", reason="r")
        with pytest.raises(InvalidData, match=r"record 11, of key 'worse', .*not a document"):
            db.set_schema(USERS)
        assert db.schema is None
        assert db.indexes() == ()
        db.redact(b"worse", reason="r")
        with pytest.raises(UniqueViolation):
            db.set_schema(USERS)
        assert db.schema is None
        db.put(b"raw", b"raw")
        assert events(db) == []
        db.redact(b"raw", reason="r")
        assert db.set_schema(WIDER, by="me").first_sequence == 13
        with pytest.raises(ValidationError):
            db.put(b"x", {"name": "x"})
        [event] = events(db)
        assert (event["version"], event["first_sequence"], event["by"], event["collection"]) == (1, 13, "me", db.id)
        assert Schema.from_json(event["schema"]) == db.schema


def test_a_schema_is_followed_by_compatible_ones_alone(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        users = db.create_collection("users", schema=USERS, created_by="boss")
        users.put(b"1", {"name": "Ann", "city": 5})
        with pytest.raises(InvalidData, match="`name` becomes Integer, and was String; `x` becomes required"):
            users.set_schema(
                {"fields": {"name": {"field_type": "Integer"}, "x": {"field_type": "String", "required": True}}}
            )
        with pytest.raises(InvalidData, match=r"record 0, of key '1', is not valid under it. .*`city` is 5"):
            users.set_schema({"fields": {**WIDER["fields"], "city": {"field_type": "String"}}})
        with pytest.raises(InvalidData, match="says that it is version 3, and the next one is 2"):
            users.set_schema({**WIDER, "version": 3})
        assert users.set_schema(WIDER).version == 2
        users.put(b"2", {"name": "Bea", "age": 0.5})
        users.set_schema({**WIDER, "fields": {**WIDER["fields"], "town": {"field_type": "String"}}, "version": 3})
        users.set_schema(users.schemas()[-1].schema.numbered(4))
        users.put(b"3", {"name": "Cat", "town": "Oslo"})
    with blockdb.open(tmp_path / "db") as db:
        users = db["users"]
        assert [(each.version, each.first_sequence) for each in users.schemas()] == [(1, 0), (2, 1), (3, 2), (4, 2)]
        assert [users.schema_version(sequence) for sequence in range(4)] == [1, 2, 4, 4]
        assert users.schemas()[0].by == "boss"
        assert [event["version"] for event in events(db)] == [1, 2, 3, 4]
        assert db.schema_version(0) is None
        with pytest.raises(ValidationError):
            users.put(b"4", {"name": "Dan", "town": 5})


def test_an_index_of_that_name_that_is_another_one_is_not_taken_for_it(db: blockdb.Database) -> None:
    db.create_index("by_name", ["age"])
    with pytest.raises(InvalidData, match="another one of that name"):
        db.set_schema(USERS)
    db.drop_index("by_name")
    db.create_index("by_name", ["name"], unique=True)
    db.set_schema(USERS)
    with pytest.raises(UniqueViolation):
        db.put_many([(b"1", {"name": "A"}), (b"2", {"name": "A"})])


def test_a_malformed_schema_makes_no_collection(db: blockdb.Database) -> None:
    with pytest.raises(InvalidData, match=r"fields.a.field_type"):
        db.create_collection("users", schema={"fields": {"a": {"field_type": "Text"}}})
    assert not db.has_collection("users")


def test_an_attachment_sees_the_schema_that_the_writer_set(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db, blockdb.open(tmp_path / "db", read_only=True) as attached:
        assert attached.schema is None
        db.set_schema(WIDER)
        assert attached.schema == db.schema
        db.set_schema({"fields": {}})
        assert [each.version for each in attached.schemas()] == [1, 2]
        assert attached.describe().schema == {"version": 2, "fields": {}, "required_fields": [], "indexes": []}
        with pytest.raises(ReadOnly):
            attached.set_schema(WIDER)


@pytest.mark.parametrize("sync", [False, True])
def test_writers_go_on_while_a_schema_is_set(tmp_path: Path, sync: bool) -> None:
    """What a writer had prepared before is prepared anew: nothing invalid comes after the schema's first record."""
    refused: list[int] = []
    with blockdb.open(tmp_path / "db", wal_sync_interval=1000) as db:
        stop = Event()

        def write(writer: int) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                value: Any = {"name": "A"} if number % 2 or not db.schema else {"name": "a"}
                value = json.dumps(value).encode() if number % 3 else value
                key = b"%d %d" % (writer, number)
                try:
                    db.put(key, value, sync=sync) if number % 5 else db.put_many([(key, value)])
                except ValidationError:
                    refused.append(number)

        threads = [Thread(target=write, args=(writer,)) for writer in range(2)]
        for thread in threads:
            thread.start()
        until(lambda: db.count() > 20)
        first = db.set_schema(WIDER).first_sequence
        until(lambda: len(refused) > 5)
        db.set_schema({"fields": {**WIDER["fields"], "town": {"field_type": "String"}}})
        stop.set()
        for thread in threads:
            thread.join()
        validator = Schema.from_json(WIDER).validator()
        assert first > 20
        assert all(not validator.check(json.loads(record.value)) for record in db.records())
        assert db.verify().valid


def test_a_schema_of_an_encrypted_database(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", encryption_enabled=True, master_key=bytes(32)) as db:
        db.create_collection("users", schema=USERS).put(b"1", {"name": "A"})
    with blockdb.open(tmp_path / "db", master_key=bytes(32)) as db:
        assert db["users"].get(b"1") == b'{"name":"A","age":18}'
        assert db["users"].schema == Schema.from_json(USERS).numbered(1)


def test_a_repair_finds_lost_schemas_in_the_journal(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=4) as db:
        db.create_collection("users", schema=WIDER, created_by="me").put(b"1", {"name": "Ann"})
        db.set_schema({"fields": {}})
        db["users"].set_schema({"fields": {**WIDER["fields"], "town": {"field_type": "String"}}}, by="you")
        before = db["users"].schemas()
        metadata = tmp_path / "db" / "collections" / db["users"].id / "metadata.toml"
    metadata.unlink()
    result = blockdb.repair(tmp_path / "db")
    assert result.after.valid
    assert "held the schemas of collection users against the journal: 2 versions" in result.actions
    with blockdb.open(tmp_path / "db") as db:
        assert db["users"].schemas() == before
        assert db.schemas()[0].schema == Schema.from_json({"fields": {}, "version": 1})
        with pytest.raises(ValidationError):
            db["users"].put(b"2", {"name": "x"})


def test_after_a_repair_that_lost_records_new_ones_are_under_the_last_schema(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db", blockchain_batch_size=4) as db:
        db.create_collection("users", schema=USERS)
        db.put_many([(b"%d" % number, {"name": "A"}) for number in range(8)])
        db.set_schema(WIDER)
        db.put(b"9", {"name": "A"})
        [chain] = (tmp_path / "db" / "collections" / db.id / "chain").iterdir()
    data = bytearray(chain.read_bytes())
    data[200] ^= 1
    chain.write_bytes(data)
    result = blockdb.repair(tmp_path / "db")
    assert result.salvaged
    assert not [action for action in result.actions if "schemas of collection users" in action]
    assert "held the schemas of collection default against the journal: 1 versions" in result.actions
    with blockdb.open(tmp_path / "db") as db:
        new = db.put(b"new", {"name": "A"})
        assert new < 8
        assert db.schema_version(new) == 1


def test_records_that_come_while_others_are_looked_at(db: blockdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    db.put(b"1", {"name": "Ann"})
    look = schemas._look

    def look_and_be_late(*args: Any) -> int:
        records = look(*args)
        if not db.exists(b"2"):
            db.put(b"2", {"name": "bad"})
        return records

    monkeypatch.setattr(schemas, "_look", look_and_be_late)
    with pytest.raises(InvalidData, match="record 1, of key '2'"):
        db.set_schema(WIDER)
    assert db.schema is None


def test_what_was_prepared_under_another_schema_is_not_stored(db: blockdb.Database) -> None:
    store = db._store
    assert store is not None
    for schema in (WIDER, {"fields": {**WIDER["fields"], "town": {"field_type": "String"}}}):
        prepared = db._preparation.prepare([(b"1", {"name": "Ann", "town": 5})])
        db.set_schema(schema)
        with pytest.raises(Unprepared):
            store.commit(prepared)
        with pytest.raises(Unprepared):
            store.put(b"1", b"raw")
    assert db.count() == 0


def tampered(path: Path, old: str, new: str) -> None:
    """Another text in metadata, with a checksum that fits."""
    values = checked_toml.decode(path.read_bytes())
    values["schemas"] = [{**entry, "schema": entry["schema"].replace(old, new)} for entry in values["schemas"]]
    path.write_bytes(checked_toml.encode(values))


def test_an_audit_holds_schemas_against_the_journal(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as db:
        db.set_schema(WIDER)
        db.set_schema({"fields": {}})
        path = tmp_path / "db" / "collections" / db.id / "metadata.toml"
        whole = path.read_bytes()
        assert db.verify().valid
        tampered(path, "^[A-Z]", "")
        [problem] = db.verify().problems
        assert problem.what == "version 1 of its schema is not the one that the journal tells of"
        path.write_bytes(whole)
        values = checked_toml.decode(whole)
        path.write_bytes(checked_toml.encode({**values, "schemas": values["schemas"][:1]}))
        [problem] = blockdb.verify(tmp_path / "db").problems
        assert problem.what == "the journal tells of version 2 of its schema, which is not there"
        third = {**values["schemas"][-1], "version": 3}
        path.write_bytes(checked_toml.encode({**values, "schemas": [*values["schemas"], third]}))
        [problem] = blockdb.verify(tmp_path / "db").problems
        assert problem.what == "the journal does not tell of version 3 of its schema"
    tampered(path, "^[A-Z]", "")
    assert blockdb.repair(tmp_path / "db").after.valid
    with blockdb.open(tmp_path / "db") as db:
        assert [each.version for each in db.schemas()] == [1, 2, 3]
        assert db.schemas()[0].schema == Schema.from_json(WIDER).numbered(1)
        assert db.verify().valid


def test_what_a_transaction_wrote_is_checked_again_where_a_schema_was_set_meanwhile(db: blockdb.Database) -> None:
    users = db.create_collection("users", schema=WIDER)
    towns = {"fields": {**WIDER["fields"], "town": {"field_type": "String", "default_value": "Oslo"}}}
    tx = db.transaction()
    tx.put(b"1", {"name": "Ann", "town": 5}, collection="users")
    tx.put(b"1", b"raw")
    users.set_schema(towns)
    with pytest.raises(ValidationError):
        tx.commit()
    tx.abort()
    assert (users.count(), db.count()) == (0, 0)
    with db.transaction() as tx:
        with pytest.raises(ValidationError):
            tx.put(b"1", {"name": "ann"}, collection="users")
        tx.put(b"2", {"name": "Bea"}, collection="users")
    assert users.get(b"2") == b'{"name":"Bea","town":"Oslo"}'
