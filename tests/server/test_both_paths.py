"""What is known by its head and gathered, and what goes the long way alone: one and the same, whatever is asked."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from http.client import HTTPResponse
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from blockdb.security.roles import Role
from blockdb.server.http.again import Again
from blockdb.server.serving import Served
from blockdb.server.tokens import TokenFile
from tests.server.running import Address, served_here
from tests.storage.doors import until
from tests.tiers import tiers

MSGPACK = "application/msgpack"
MAX_BODY_BYTES = 300
OF_THE_MOMENT = frozenset(("date", "x-request-id"))
PATHS = {
    "put": "/api/v1/collections/default/records",
    "store": "/api/v1/put",
    "called": "/api/v1/call/put",
    "elsewhere": "/api/v1/collections/other/records",
    "nowhere": "/api/v1/collections/nowhere/records",
    "get": "/api/v1/call/get",
    "exists": "/api/v1/call/exists",
}


class Server:
    """A server with the tokens of a few principals, and a connection for each kind of request."""

    def __init__(self, served: Served, address: Address, *, is_alone: bool) -> None:
        """`is_alone`: no head is known there, and nothing is gathered."""
        self.served = served
        self._address = address
        self._is_alone = is_alone
        self._number = 0
        self._open: dict[tuple[Any, ...], socket.socket] = {}
        file = TokenFile(Path(served.config.database.data_dir))
        self._tokens = {
            "ann": file.create("ann", Role.WRITER)[1],
            "bob": file.create("bob", Role.WRITER, ["default"], b"b")[1],
            "rea": file.create("rea", Role.READER)[1],
            "nobody": "bdb_0a1b2c3d_no",
        }
        served._authenticator._look()  # type: ignore[attr-defined]
        served._options.max_body_bytes = MAX_BODY_BYTES
        served.service.database.create_collection("other")
        if is_alone:
            served._door.gatherer.takes = lambda *_: False  # type: ignore[method-assign]

    def ask(self, who: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[Any, ...]:
        """Status, headers and body of the answer."""
        self._number += 1
        head = {"Host": "localhost", "Authorization": f"Bearer {self._tokens[who]}", **headers}
        if self._is_alone:
            head["X-Number"] = str(self._number)
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
        request = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
        kind = (who, path, *headers)
        connection = self._open.get(kind) or socket.create_connection(self._address, timeout=20)
        connection.sendall(request)
        with HTTPResponse(connection) as answer:
            answer.begin()
            found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
            if answer.will_close:
                connection.close()
                self._open.pop(kind, None)
            else:
                self._open[kind] = connection
        assert found[1].keys() >= OF_THE_MOMENT
        return found[0], {name: value for name, value in found[1].items() if name not in OF_THE_MOMENT}, found[2]

    def told(self) -> tuple[Any, ...]:
        """The audit log, and what was counted."""
        acts = [
            act._replace(time_ms=0, token_id=bool(act.token_id), peer=bool(act.peer), request_id=bool(act.request_id))
            for act in self.served.service.database.acts()
            if act.operation != "token create"  # a thread enters these whenever it comes by
        ]
        found = self.served.service.monitor.meters.snapshot()
        counted = [(each.operation, dict(each.outcomes)) for each in found.requests]
        return acts, counted, found.rejected, found.in_flight, found.bytes_received, found.bytes_sent

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()


def asked(chance: Random) -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    """Requests, of which many were asked before, or are like one that was."""
    before: list[tuple[str, str, dict[str, str], bytes]] = []
    for _ in range(150):
        if before and chance.random() < 0.3:
            yield chance.choice(before)
            continue
        kind = chance.choice([*PATHS, "put", "called"])
        members: dict[str, Any] = {"key": chance.choice([b"", b"a", b"b", b"b1", b"b2", b"c", chance.randbytes(4)])}
        if kind not in ("get", "exists"):
            members["value"] = chance.choice([b"", b"1", bytes(200), bytes(300)])
        if kind in ("called", "get", "exists"):
            members["collection"] = chance.choice(["default", "other", "nowhere"])
        body = msgspec.msgpack.encode(members)
        if chance.random() < 0.05:
            body = body[:-1]
        headers = {"Content-Type": MSGPACK, "Accept": MSGPACK}
        if chance.random() < 0.7:
            headers["Idempotency-Key"] = chance.choice(
                ["k", "l", "m" * 255, "n" * 256, f"{chance.random()}", "two words"]
            )
        one = chance.choice(["ann", "ann", "bob", "rea", "nobody"]), PATHS[kind], headers, body
        before.append(one)
        yield one


@pytest.mark.parametrize("seed", tiers([1], range(2, 20)))
def test_answers_audit_log_and_counts_are_the_same(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short: list[bool] = []
    call = Again.__call__

    def noted(*arguments: Any) -> bool:
        short.append(call(*arguments))
        return short[-1]

    monkeypatch.setattr(Again, "__call__", noted)
    with ExitStack() as stack:
        quick, alone = (
            stack.enter_context(
                closing(Server(*stack.enter_context(served_here(tmp_path / name)), is_alone=name == "alone"))
            )
            for name in ("quick", "alone")
        )
        for one in asked(Random(seed)):
            assert quick.ask(*one) == alone.ask(*one), one
        until(lambda: quick.told() == alone.told())  # the last request is counted when it has been answered
        assert sum(short) > 20, "many are known by their heads"
