"""A query whose asker has gone away is given up; the server goes on with others."""

from __future__ import annotations

import json
import socket
import threading
from urllib.parse import urlsplit

import pytest

import blockdb
from blockdb.database.queries import search
from blockdb.database.queries.giving_up import while_wanted
from blockdb.errors import RequestTimeout
from tests.server.harness import running

GET_ON = 20.0


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> blockdb.Database:
    with blockdb.open(tmp_path_factory.mktemp("giving_up") / "db") as db:
        db.put_many([(b"%d" % number, b'{"n":%d}' % number) for number in range(3_000)])
        yield db


@pytest.mark.parametrize(
    "ask",
    [
        lambda db: list(db.find("n < 0")),
        lambda db: list(db.find("n >= 0", order="n desc", limit=3)),
        lambda db: db.count(where="n < 0"),
        lambda db: db.explain("n < 0"),
    ],
)
def test_a_query_that_nobody_wants_ends(database: blockdb.Database, ask: object) -> None:
    with while_wanted(lambda: True), pytest.raises(RequestTimeout, match="given up"):
        ask(database)
    ask(database)


def test_the_server_notices_that_its_asker_has_gone(
    database: blockdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, given_up = threading.Event(), threading.Event()
    insist = search.insist_on_being_wanted

    def slow() -> None:
        begun.set()
        try:
            while not given_up.wait(0.01):
                insist()
        except RequestTimeout:
            given_up.set()
            raise

    monkeypatch.setattr(search, "insist_on_being_wanted", slow)
    with running(database) as served:
        address = urlsplit(served.url)
        body = json.dumps({"where": "n < 0"}).encode()
        with socket.create_connection((address.hostname, address.port)) as asker:
            asker.sendall(
                b"POST /api/v1/collections/default/find HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body)
            )
            assert begun.wait(GET_ON)
            assert not given_up.is_set()
        assert given_up.wait(GET_ON)
        assert served.ask("GET", "/api/v1/get/1").status == 200
