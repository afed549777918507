"""Random logs: every kind of command, most of them sensible, many of them refused."""

from __future__ import annotations

from hashlib import sha256
from random import Random

from blockdb.cluster.machine import commands
from tests.cluster.machine.world import SCHEMA, WIDER, Log

NAMES = ["default", "default", "users", "orders"]
KINDS = {
    "put": 30,
    "put_each": 6,
    "put_many": 8,
    "commit": 8,
    "again": 6,
    "conflict": 2,
    "create": 5,
    "drop": 2,
    "schema": 3,
    "index": 4,
    "drop_index": 2,
    "redact": 3,
    "state": 2,
    "prepare": 8,
    "decide": 6,
    "finish": 5,
    "rotate": 1,
    "token": 3,
    "revoke": 2,
}
"""How often each comes."""


def random_log(chance: Random, size: int, *, redactable: bool = False, encrypted: bool = False) -> Log:
    """A log of so many commands."""
    log = Log(redactable, encrypted)
    kinds = chance.choices(list(KINDS), list(KINDS.values()), k=size)
    for kind in kinds:
        _Adding(log, chance).add(kind)
    return log


class _Adding:
    def __init__(self, log: Log, chance: Random) -> None:
        self._log = log
        self._chance = chance
        self._name = chance.choice([name for name in NAMES if name in log.collections])
        self._collection = log.collections[self._name]

    def add(self, kind: str) -> None:
        getattr(self, f"_{kind}")()

    def _key(self) -> bytes:
        return b"key%03d" % self._chance.randrange(60)

    def _value(self) -> bytes:
        return self._chance.choice(
            [b"", b"plain" * self._chance.randrange(9), b"{}", b'{"n":%d}' % self._chance.randrange(40), b'{"n":"x"}']
        )

    def _items(self, most: int = 5) -> tuple[tuple[bytes, bytes], ...]:
        return tuple((self._key(), self._value()) for _ in range(self._chance.randint(0, most)))

    def _put(self) -> None:
        self._log.add(commands.Put(self._collection, self._key(), self._value()), step_ms=self._chance.randint(-3, 9))

    def _prepare(self) -> None:
        """One of a few transactions, of which every other is decided here."""
        transaction = self._transaction()
        names = sorted({self._name, "default"}, key=self._log.collections.__getitem__)
        parts = tuple(commands.CommitPart(self._log.collections[name], self._items(1)) for name in names)
        key = self._key()
        reads = (commands.CommitRead(self._collection, 1000, (key,), ((b"key05", b"key055"),)),)
        home, others = ("", ("there-1",)) if transaction[0] % 2 else ("there-1", ())
        id_ = sha256(transaction + b"prepare").digest()[:16]
        self._log.add(commands.Prepare(transaction, home, others, parts, reads), id_)

    def _decide(self) -> None:
        transaction, commit = self._transaction(), self._chance.random() < 0.7
        self._log.add(commands.Decide(transaction, commit), sha256(transaction + b"decide").digest()[:16])

    def _finish(self) -> None:
        transaction, commit = self._transaction(), self._chance.random() < 0.7
        self._log.add(commands.Finish(transaction, commit), sha256(transaction + b"finish").digest()[:16])

    def _transaction(self) -> bytes:
        return bytes([self._chance.randrange(8)]) * 16

    def _put_each(self) -> None:
        items = tuple((self._chance.randbytes(16), key, value) for key, value in self._items())
        self._log.add(commands.PutEach(self._collection, items))

    def _put_many(self) -> None:
        self._log.add(commands.PutMany(self._collection, self._items(3)))

    def _commit(self) -> None:
        names = sorted(
            {self._name, self._chance.choice([*self._log.collections])}, key=self._log.collections.__getitem__
        )
        parts = tuple(commands.CommitPart(self._log.collections[name], self._items(2)) for name in names)
        reads = ()
        if self._chance.random() < 0.5:
            ranges = ((self._key(), self._chance.choice([None, b"key040"])),) if self._chance.random() < 0.5 else ()
            keys = tuple({self._key() for _ in range(self._chance.randint(0, 3))})
            reads = (commands.CommitRead(self._collection, self._chance.randrange(40), tuple(sorted(keys)), ranges),)
        self._log.add(commands.Commit(parts, reads))

    def _again(self) -> None:
        self._log.again(self._chance.randrange(len(self._log.commands)))

    def _conflict(self) -> None:
        envelope, _ = commands.decode(self._chance.choice(self._log.commands).data)
        self._log.add(commands.Put(self._collection, self._key(), self._value()), envelope.id)

    def _create(self) -> None:
        schema = self._chance.choice([None, None, SCHEMA])
        ttl = {"ttl_seconds": 1} if self._chance.random() < 0.2 else {}
        self._log.create(self._chance.choice(["users", "orders", "bad/name"]), schema, **ttl)

    def _drop(self) -> None:
        self._log.add(commands.DropCollection(self._collection, "me"))
        if self._name != "default" and self._chance.random() < 0.9:  # else it is used on, in vain
            del self._log.collections[self._name]

    def _schema(self) -> None:
        self._log.add(commands.SetSchema(self._collection, "me", self._chance.choice([SCHEMA, WIDER, b"{}", b"["])))

    def _index(self) -> None:
        name, unique = self._chance.choice(["one", "two"]), self._chance.random() < 0.5
        self._log.add(commands.CreateIndex(self._collection, "me", name, ("n",), unique, self._chance.random() < 0.5))

    def _drop_index(self) -> None:
        self._log.add(commands.DropIndex(self._collection, "me", self._chance.choice(["one", "two", "by_n"])))

    def _redact(self) -> None:
        keys = tuple({self._key() for _ in range(self._chance.randint(1, 2))})
        self._log.add(commands.Redact(self._collection, "me", tuple(sorted(keys)), "asked for"))

    def _state(self) -> None:
        self._log.add(commands.RecordState())

    def _rotate(self) -> None:
        self._log.add(commands.RotateKey())

    def _token(self) -> None:
        id_, name = self._chance.randbytes(8).hex(), self._chance.choice("abcd")
        self._log.tokens.append(id_)
        names = self._chance.choice([None, ("users", "orders")])
        self._log.add(commands.CreateToken(id_, name, "writer", self._chance.randbytes(32), names, b"key"))

    def _revoke(self) -> None:
        self._log.add(commands.RevokeToken(self._chance.choice([*self._log.tokens, "0" * 16])))
