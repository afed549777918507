"""The view of transactions: which are open, who waits for whom, what became of the last; and where nobody can know."""

from __future__ import annotations

import re

import pytest

from blockdb import Forbidden, TransactionInfo
from blockdb_tui.screens.records import RecordsView
from blockdb_tui.screens.transactions import TransactionsView
from blockdb_tui.waiting import Infos, short_id, wait_lines
from tests.tui.covering import app_of, covers, said, shown
from tests.tui.drive import exploring, press, screen_text, settled, until
from tests.tui.fake import Given, shop, waiting


def told(*infos: TransactionInfo) -> list[str]:
    return ["".join(text for text, _ in line) for line in wait_lines(infos)]


@covers(
    "view.transactions",
    "transactions.freeze",
    "transactions.copy_id",
    "transactions.collection",
    "transactions.ended_collection",
)
@pytest.mark.torture
async def test_open_waiting_and_ended_ones() -> None:
    database = waiting()
    async with exploring(database, size=(170, 45)) as pilot:
        await press(pilot, "9")
        view = shown(pilot, TransactionsView)
        await until(pilot, lambda: "✗ deadlock" in screen_text(pilot))
        text = screen_text(pilot)
        for words in ("● runs", "◆ commits", "◌ waits", "7, 9: the key '␛[2Jada'", "people, orders", "deadlocks 1"):
            assert words in text
        assert "└─ 11 waits for the key '␛[2Jada' of people, holds 2" in text
        assert re.search("✗ timeout +30 s +1 min ago", text)
        await press(pilot, "c", "Y")
        assert any("the number 7" in words for words in said(pilot))
        await press(pilot, "space")
        database.under_way = []
        view.ask()
        await settled(pilot)
        assert view.open.total == 3, "it is frozen"
        await press(pilot, "space")
        await until(pilot, lambda: view.open.total == 0)
        assert "Nobody waits." in screen_text(pilot)
        view.ended.focus()
        await press(pilot, "G", "enter")
        assert "not touched a collection" in said(pilot)[-1]
        await press(pilot, "g", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RecordsView))
        assert app_of(pilot).inside == "orders"
        await press(pilot, "escape", "escape")
        assert view.focused is view.open


@pytest.mark.torture
async def test_beside_a_writer_it_is_said_that_they_live_there() -> None:
    async with exploring(shop()) as pilot:
        await press(pilot, "9")
        assert "Transactions live in the process that writes" in screen_text(pilot)


@pytest.mark.torture
async def test_a_token_that_may_not_audit_is_told_so() -> None:
    database = waiting()

    def refuse() -> tuple[TransactionInfo, ...]:
        raise Forbidden("The token is good for reading; this takes auditing.")

    database.transactions = refuse  # type: ignore[method-assign]
    async with exploring(Given(database, is_server=True)) as pilot:
        await press(pilot, "9")
        await until(pilot, lambda: "does not show transactions" in screen_text(pilot))
        assert "this takes auditing" in screen_text(pilot)


def test_the_graph_is_drawn_as_trees() -> None:
    one, two = TransactionInfo(1, 2.0, 3), TransactionInfo(2, 1.0, 1, waits_for=(1,), wanted="key 'a', shared")
    three, four = TransactionInfo(3, 1.0, 0, waits_for=(1, 2)), TransactionInfo(4, 1.0, 0, waits_for=(2, 9))
    assert told(one, two, three, four, TransactionInfo(5, 1.0, 0)) == [
        " 1 ● runs for 2 s, holds 3 locks",
        " ├─ 2 waits for key 'a', shared, holds 1",
        " │  ├─ 3 waits for it, holds 0",
        " │  └─ 4 waits for it, holds 0",
        " └─ 3 ↑ see above",
        " 9 is not in this list any more",
        " └─ 4 ↑ see above",
    ]
    assert told(one) == []


def test_a_circle_ends_where_it_meets_itself() -> None:
    circle = [TransactionInfo(at, 1.0, 1, waits_for=((at + 1) % 3,)) for at in range(3)]
    assert told(*circle)[-1].endswith("↑ see above")
    chain = [TransactionInfo(at, 1.0, 1, waits_for=(at - 1,) if at else ()) for at in range(3_000)]
    assert len(told(*chain)) == 3_000, "however long it is"


def test_of_a_long_number_the_end_is_shown() -> None:
    assert [short_id(id_) for id_ in (7, 1_234_567, 1_795_336_909_638_448)] == ["7", "1234567", "…638448"]


def test_the_cursor_stays_on_its_transaction() -> None:
    infos = Infos()
    infos.rows = [TransactionInfo(at, 1.0, 1) for at in (4, 7, 9)]
    assert infos.locate(TransactionInfo(9, 5.0, 2), 3) == 2
    assert infos.locate(TransactionInfo(5, 5.0, 2), 3) == 0
