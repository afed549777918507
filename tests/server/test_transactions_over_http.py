"""Transactions that clients have open on a server."""

from pathlib import Path

import blockdb
from blockdb.security.roles import ANONYMOUS
from blockdb.server.transactions import OpenTransactions


def test_a_number_is_never_that_of_an_earlier_server(tmp_path: Path) -> None:
    """Else whoever goes on with a transaction of before would find himself in another one."""
    numbers = []
    for _ in range(2):
        with blockdb.open(tmp_path / "db") as database:
            under_way = OpenTransactions(database)
            numbers += [under_way.begin(ANONYMOUS, None)[0] for _ in range(3)]
            under_way.abort_all()
    assert len(set(numbers)) == 6
    assert numbers == sorted(numbers), "the smaller, the older"
