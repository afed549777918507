"""Collections worth looking at: people, their orders and the payments for them, made up from a seed.

People and orders have schemas and indexes; the schema of orders gets a second version half way. An order and its
payment are stored in one transaction.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import blockdb

__all__ = ["ORDERS", "PEOPLE", "SHOP_SEED", "Shop", "orders", "people"]

SHOP_SEED = 19_950_523
PEOPLE = 300
ORDERS = 600
"""What there is from the first moment; then one order every now and then."""

FIRST_NAMES = ("Ada", "Alan", "Barbara", "Edsger", "Frances", "Grace", "Hedy", "Katherine", "Leslie", "Radia", "Tony")
LAST_NAMES = ("Allen", "Dijkstra", "Hamilton", "Hoare", "Hopper", "Johnson", "Lamarr", "Lamport", "Liskov", "Perlman")
CITIES = {"Oslo": "NO", "Bergen": "NO", "Lyon": "FR", "Kyoto": "JP", "Lima": "PE", "Turku": "FI", "Accra": "GH"}
PRODUCTS = {"lamp": 49.0, "desk": 320.0, "chair": 145.5, "kettle": 39.9, "rug": 89.0, "mug": 9.5}
STATUSES = ("open", "paid", "sent")
OPENING = datetime(2024, 1, 2, 8, 0, tzinfo=UTC)

Document = dict[str, Any]
Pair = tuple[bytes, Document]


def _field(kind: str, *rules: Document, required: bool = False, **default: Any) -> Document:
    return {"field_type": kind, "required": required, "validation_rules": list(rules), **default}


PEOPLE_SCHEMA: Document = {
    "fields": {
        "name": _field("String", {"MinLength": 1}, {"MaxLength": 80}, required=True),
        "email": _field("String", {"Pattern": r"^[^@\s]+@[^@\s]+$"}, required=True),
        "age": _field("Integer", {"MinValue": 0}, {"MaxValue": 150}),
        "address.city": _field("String", required=True),
        "address.country": _field("String", {"Pattern": "^[A-Z]{2}$"}),
        "tags": _field("Array"),
        "joined": _field("Timestamp", required=True),
        "active": _field("Boolean", default_value=True),
    },
    "indexes": [
        {"name": "by_email", "fields": ["email"], "unique": True, "sparse": False},
        {"name": "by_city", "fields": ["address.city", "age"], "unique": False, "sparse": True},
    ],
}

ORDER_FIELDS: Document = {
    "number": _field("Integer", {"MinValue": 1}, required=True),
    "person": _field("String", required=True),
    "status": _field("String", {"OneOf": list(STATUSES)}, required=True),
    "items": _field("Array", required=True),
    "items[].product": _field("String", required=True),
    "items[].price": _field("Float", {"MinValue": 0}, required=True),
    "total": _field("Float", {"MinValue": 0}, required=True),
    "placed": _field("Timestamp", required=True),
}
ORDER_INDEXES = [
    {"name": "by_person", "fields": ["person", "placed"], "unique": False, "sparse": False},
    {"name": "by_product", "fields": ["items[].product"], "unique": False, "sparse": True},
]
ORDER_SCHEMA: Document = {"fields": ORDER_FIELDS, "indexes": ORDER_INDEXES}
NEXT_ORDER_SCHEMA: Document = {
    "fields": {**ORDER_FIELDS, "channel": _field("String", {"OneOf": ["web", "shop"]}, default_value="web")},
    "indexes": [*ORDER_INDEXES, {"name": "by_total", "fields": ["total"], "unique": False, "sparse": False}],
}


def people(seed: int = SHOP_SEED) -> Iterator[Pair]:
    """Endless people, the same for the same seed. The key is `person:<number>`."""
    chance = random.Random(seed)
    number = 0
    while True:
        first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
        city = chance.choice(tuple(CITIES))
        document: Document = {
            "name": f"{first} {last}",
            "email": f"{first}.{last}.{number}@example.org".lower(),
            "address": {"city": city, "country": CITIES[city]},
            "tags": chance.sample(("vip", "press", "early", "staff"), chance.randint(0, 2)),
            "joined": _moment(OPENING - timedelta(hours=chance.randint(1, 20_000))),
        }
        if chance.random() < 0.8:
            document["age"] = chance.randint(18, 80)
        yield b"person:%04d" % number, document
        number += 1


def orders(seed: int = SHOP_SEED) -> Iterator[tuple[Pair, Pair]]:
    """Endless orders, each with its payment, the same for the same seed."""
    chance = random.Random(seed + 1)
    placed = OPENING
    number = 0
    while True:
        number += 1
        placed += timedelta(seconds=chance.randint(20, 4_000))
        chosen = chance.choices(tuple(PRODUCTS), k=chance.randint(1, 3))
        counts = [chance.randint(1, 4) for _ in chosen]
        items = [{"product": name, "count": n, "price": PRODUCTS[name]} for name, n in zip(chosen, counts, strict=True)]
        total = round(sum(n * PRODUCTS[name] for name, n in zip(chosen, counts, strict=True)), 2)
        order: Document = {
            "number": number,
            "person": f"person:{chance.randrange(PEOPLE):04}",
            "status": chance.choice(STATUSES),
            "items": items,
            "total": total,
            "placed": _moment(placed),
        }
        payment: Document = {"order": number, "amount": total, "by": chance.choice(("card", "invoice", "cash"))}
        yield (b"order:%06d" % number, order), (b"payment:%06d" % number, payment)


def _moment(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


class Shop:
    """The three collections of a demo database, in one process."""

    def __init__(self, database: blockdb.Database) -> None:
        self._database = database
        self._coming: Iterator[tuple[Pair, Pair]] = iter(())

    def load(self) -> None:
        """Makes what is not there yet. Raises BlockDBError."""
        database = self._database
        if not database.has_collection("people"):
            made = database.create_collection("people", schema=PEOPLE_SCHEMA, description="Who buys")
            made.put_many(islice(people(), PEOPLE))
        if not database.has_collection("payments"):
            database.create_collection("payments", description="What was paid, each in one transaction with its order")
        if not database.has_collection("orders"):
            database.create_collection("orders", schema=ORDER_SCHEMA, description="What was bought")
        kept = database["orders"].count()
        self._coming = islice(orders(), kept, None)
        for size in (ORDERS // 2 - kept, ORDERS - max(kept, ORDERS // 2)):
            self._place(max(size, 0))
            if len(database["orders"].schemas()) == 1:
                database["orders"].set_schema(NEXT_ORDER_SCHEMA)

    def order(self) -> None:
        """Stores one more order and its payment. Raises BlockDBError."""
        self._place(1)

    def _place(self, count: int) -> None:
        pairs = list(islice(self._coming, count))
        if pairs:
            with self._database.transaction() as transaction:
                transaction.put_many([order for order, _ in pairs], collection="orders")
                transaction.put_many([payment for _, payment in pairs], collection="payments")
