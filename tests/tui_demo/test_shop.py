"""The collections of the demo: the same each time, as their schemas say, and continued where they were kept."""

from itertools import islice
from pathlib import Path

import pytest

import blockdb
from blockdb import Schema
from blockdb_tui.demo import shop


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop, "PEOPLE", 12)
    monkeypatch.setattr(shop, "ORDERS", 20)


def test_people_and_orders_are_as_their_schemas_say() -> None:
    check_person = Schema.from_json(shop.PEOPLE_SCHEMA).validator().check
    assert not [broken for _, person in islice(shop.people(), 50) for broken in check_person(person)]
    for schema in (shop.ORDER_SCHEMA, shop.NEXT_ORDER_SCHEMA):
        check_order = Schema.from_json(schema).validator().check
        assert not [broken for (_, order), _ in islice(shop.orders(), 50) for broken in check_order(order)]


def test_the_same_seed_gives_the_same() -> None:
    assert list(islice(shop.people(7), 9)) == list(islice(shop.people(7), 9))
    assert list(islice(shop.orders(7), 9)) == list(islice(shop.orders(7), 9))


@pytest.mark.usefixtures("small")
def test_a_shop_that_was_kept_goes_on(tmp_path: Path) -> None:
    with blockdb.open(tmp_path / "db") as database:
        made = shop.Shop(database)
        made.load()
        made.order()
        assert [version.first_sequence for version in database["orders"].schemas()] == [0, 10]
    with blockdb.open(tmp_path / "db") as database:
        kept = shop.Shop(database)
        kept.load()
        kept.order()
        assert (database["people"].count(), database["orders"].count(), database["payments"].count()) == (12, 22, 22)
        found = database["orders"].find("total > 0", order="total desc", limit=1)
        assert next(found).value["total"] > 0
        assert database.verify().valid
