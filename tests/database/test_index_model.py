"""Indexes, held against documents in a dict: whatever is written, flushed, merged, dropped and opened again."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import blockdb
from blockdb.errors import DuplicateIndex, IndexNotFound, UniqueViolation
from tests.database.indexed import check_index, entries_of
from tests.storage.doors import until

values = st.sampled_from([0, 1, 1.0, -2, 2**60, "", "a", "a\x00", "b", None, True, [1, "a"], [], {"x": 1}])
documents = st.dictionaries(st.sampled_from(["a", "b", "tags"]), values, max_size=3)
FIELDS = (["a"], ["a", "b"], ["tags[]"], ["b", "tags[]"], ["a.x"])
indexes = st.tuples(st.sampled_from("ijk"), st.sampled_from(FIELDS), st.booleans(), st.booleans())


def violation_of(write: Callable[[], object]) -> UniqueViolation | None:
    """What a write raises of a unique index, if it does."""
    try:
        write()
    except UniqueViolation as error:
        return error
    return None


class Indexes(RuleBasedStateMachine):
    """A collection with indexes, its writer and an attachment, and what they should say."""

    @initialize(redactable=st.booleans())
    def begin(self, redactable: bool) -> None:
        self.path = Path(tempfile.mkdtemp()) / "db"
        self.redactable = redactable
        self.documents: dict[bytes, Any] = {}
        self.stored = 0
        self.indexes: dict[str, tuple[list[str], bool, bool]] = {}
        self.attached: blockdb.Database | None = None
        self.open()

    def open(self) -> None:
        self.db = blockdb.open(
            self.path,
            memtable_size_limit=65_536,
            blockchain_batch_size=4,
            compaction_threshold=2,
            redactable=self.redactable,
        )

    def teardown(self) -> None:
        for db in (self.attached, self.db):
            if db is not None:
                db.close()
        shutil.rmtree(self.path.parent)

    def is_taken(self, new: list[Any]) -> bool:
        """Whether a unique index has a value of one of these documents, or two of them share one."""
        for fields, unique, sparse in self.indexes.values():
            seen = [entries_of(document, fields, sparse) for document in (*self.documents.values(), *new)]
            if unique and sum(map(len, seen)) > len(set().union(*seen)):
                return True
        return False

    @rule(new=st.lists(documents, min_size=1, max_size=4))
    def put(self, new: list[Any]) -> None:
        items = [(b"key %d" % (self.stored + at), document) for at, document in enumerate(new)]
        self.stored += len(items)
        encoded = [(key, json.dumps(document).encode()) for key, document in items]
        error = violation_of(lambda: self.db.put(*encoded[0]) if len(encoded) == 1 else self.db.put_many(encoded))
        assert (error is not None) == self.is_taken(new)
        if error is None:
            self.documents.update(items)
        else:
            assert error.key in self.documents or error.key in dict(items)
            assert self.db.count() == self.records

    @property
    def records(self) -> int:
        return len(self.documents) + len(getattr(self, "redacted", ()))

    @rule(index=indexes)
    def create(self, index: tuple[str, list[str], bool, bool]) -> None:
        name, fields, unique, sparse = index
        if name in self.indexes:
            with pytest.raises(DuplicateIndex):
                self.db.create_index(name, fields, unique, sparse)
            return
        self.indexes[name] = (fields, unique, sparse)
        error = violation_of(lambda: self.db.create_index(name, fields, unique, sparse))
        assert (error is not None) == self.is_taken([])
        if error is not None:
            assert {error.key, error.other} <= self.documents.keys()
            del self.indexes[name]

    @rule(name=st.sampled_from("ijk"))
    def drop(self, name: str) -> None:
        if name in self.indexes:
            self.db.drop_index(name)
            del self.indexes[name]
        else:
            with pytest.raises(IndexNotFound):
                self.db.drop_index(name)

    @precondition(lambda self: self.redactable and self.documents)
    @rule(data=st.data())
    def redact(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(list(self.documents)))
        self.db.redact(key, reason="asked for")
        del self.documents[key]
        self.redacted = [*getattr(self, "redacted", ()), key]

    @rule()
    def flush(self) -> None:
        self.db.flush()

    @rule()
    def compact(self) -> None:
        self.db.compact()

    @rule()
    def open_again(self) -> None:
        self.db.close()
        self.open()

    @rule()
    def attach(self) -> None:
        if self.attached is None:
            self.attached = blockdb.open(self.path, read_only=True)
        else:
            self.attached.close()
            self.attached = None

    @invariant()
    def every_index_has_what_the_documents_have(self) -> None:
        self.check(self.db)
        if self.attached is not None:
            self.check(self.attached)

    def check(self, db: blockdb.Database) -> None:
        until(lambda: db.count() == self.records)  # who attached sees soon that a writer came anew
        assert [index.name for index in db.indexes()] == sorted(self.indexes)
        for name in self.indexes:
            check_index(db, name, self.documents)


TestIndexes = Indexes.TestCase
TestIndexes.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)


@pytest.mark.torture
class TestIndexesLong(Indexes.TestCase):  # type: ignore[misc,valid-type]
    """The same for longer."""

    settings = settings(max_examples=250, stateful_step_count=30, deadline=None)
