"""The transport, against servers that hang up, lie, dawdle and babble: each wait has an end, each end an error."""

import asyncio
import gzip
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import anyio
import httpcore
import pytest
from zstandard import ZstdDecompressor

import blockdb
from blockdb.client.addresses import nodes_of
from blockdb.client.aio.lines import _Line
from blockdb.client.aio.transport import AsyncTransport
from blockdb.client.carrying import Identity, tls_context
from blockdb.client.exchange import Asked, Reply
from blockdb.client.incoming import Incoming
from blockdb.client.policy import Policy
from blockdb.client.transport import LOOK_AFTER_S, Transport
from tests.client.fakes import TYPE, Visit, free_address, serving
from tests.storage.doors import until
from tests.tiers import tiers

READ = Asked("GET", "/read")
WRITE = Asked("POST", "/write", (("idempotency-key", "one"),), b"body", is_write=True)
BARE_WRITE = Asked("POST", "/write", (), b"body", is_repeatable=False, is_write=True)
QUICK = {"first_pause_s": 0.001, "longest_pause_s": 0.002, "attempts": 3}

Ask = Callable[..., Reply]


def in_threads(asked: Asked, urls: str, token: str | None = "bdb_secret", **limits: Any) -> Reply:
    transport = Transport(nodes_of(urls), Policy(**{**QUICK, **limits}), Identity(token), tls_context())
    try:
        return transport.send(asked)
    finally:
        transport.close()


def on_a_loop(asked: Asked, urls: str, token: str | None = "bdb_secret", **limits: Any) -> Reply:
    async def run() -> Reply:
        transport = AsyncTransport(nodes_of(urls), Policy(**{**QUICK, **limits}), Identity(token), tls_context())
        try:
            return await transport.send(asked)
        finally:
            await transport.close()

    return anyio.run(run)


@pytest.fixture(params=tiers([in_threads], [on_a_loop]), ids=["threads", "loop"])
def ask(request: pytest.FixtureRequest) -> Ask:
    found: Ask = request.param
    return found


# ── what goes well ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_request_and_its_answer(ask: Ask) -> None:
    with serving(lambda visit: visit.answer(b"found")) as server:
        reply = ask(WRITE, server.url + "/base/")
    assert (reply.status, reply.body, reply.content_type) == (200, b"found", "application/msgpack")
    (visit,) = server.visits
    assert visit.head.startswith("POST /base/write HTTP/1.1\r\n")
    assert "authorization: Bearer bdb_secret" in visit.head
    assert visit.body == b"body"


def test_connections_are_kept() -> None:
    ports = set()

    def behaviour(visit: Visit) -> None:
        ports.add(visit.connection.getpeername())
        visit.answer()

    with serving(behaviour) as server:
        transport = Transport(nodes_of(server.url), Policy(), Identity(None), tls_context())
        for _ in range(5):
            transport.send(READ)
        transport.close()
    assert len(ports) == 1


def test_an_answer_that_tells_of_an_error_is_an_answer(ask: Ask) -> None:
    with serving(lambda visit: visit.answer(b"no", "404 Not Found")) as server:
        assert ask(READ, server.url).status == 404
    assert len(server.visits) == 1


def test_compressed_answers_are_decompressed(ask: Ask) -> None:
    body = bytes(3_000_000)
    headers = f"{TYPE}content-encoding: gzip\r\n"
    with serving(lambda visit: visit.answer(gzip.compress(body), headers=headers)) as server:
        assert ask(READ, server.url).body == body


def test_what_is_worth_it_is_compressed(ask: Ask) -> None:
    long = Asked("POST", "/write", (), bytes(5000), is_packable=True)
    headers = f"{TYPE}content-encoding: gzip\r\n"
    with serving(lambda visit: visit.answer(gzip.compress(b"answer"), headers=headers)) as server:
        assert ask(long, server.url, compression=True).body == b"answer"
    (visit,) = server.visits
    assert "accept-encoding: gzip" in visit.head
    assert ZstdDecompressor().decompress(visit.body) == bytes(5000)
    with serving(lambda visit: visit.answer()) as server:
        ask(long, server.url)
        ask(Asked("POST", "/write", (), bytes(5000)), server.url, compression=True)
        ask(Asked("POST", "/write", (), b"short", is_packable=True), server.url, compression=True)
    assert [len(visit.body) for visit in server.visits] == [5000, 5000, 5]


@contextmanager
def transports(url: str, **limits: Any) -> Iterator[Callable[[Asked], Reply]]:
    """What asks one request after the other on one transport, which waits in threads."""
    transport = Transport(nodes_of(url), Policy(**{**QUICK, **limits}), Identity(None), tls_context())
    try:
        yield transport.send
    finally:
        transport.close()


@contextmanager
def transports_on_a_loop(
    url: str, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None, **limits: Any
) -> Iterator[Callable[[Asked], Reply]]:
    """The same on an event loop."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        made = AsyncTransport(nodes_of(url), Policy(**{**QUICK, **limits}), Identity(None), tls_context())
        try:
            yield lambda asked: runner.run(made.send(asked))
        finally:
            runner.run(made.close())


def transports_on_uvloop(url: str, **limits: Any) -> AbstractContextManager[Callable[[Asked], Reply]]:
    return transports_on_a_loop(url, pytest.importorskip("uvloop").new_event_loop, **limits)


KEPT = pytest.mark.parametrize(
    "asking", [transports, transports_on_a_loop, transports_on_uvloop], ids=["threads", "loop", "uvloop"]
)


@KEPT
def test_connections_are_kept_unless_something_is_wrong_with_them(asking: Any) -> None:
    """One request after the other; of some the answers end the connection, or have something behind them."""
    chunked = f"HTTP/1.1 200 OK\r\n{TYPE}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    say: list[Callable[[Visit], None]] = [
        lambda visit: visit.answer(),
        lambda visit: visit.say(chunked),
        lambda visit: visit.say(f"HTTP/1.1 100 Continue\r\n\r\n{chunked}"),
        lambda visit: visit.answer(headers=f"{TYPE}connection: close\r\n"),
        lambda visit: visit.say(f"HTTP/1.1 200 OK\r\n{TYPE}content-length: 2\r\n\r\nok and more"),
        lambda visit: visit.answer(),
    ]
    with serving(lambda visit: say[visit.number](visit)) as server, asking(server.url) as ask:
        for _ in say:
            assert ask(READ).body == b"ok"
    first, *others = [visit.connection for visit in server.visits]
    assert [other is first for other in others] == [True, True, True, False, False]
    assert server.visits[4].connection is not server.visits[5].connection


def test_one_that_was_closed_meanwhile_is_not_asked() -> None:
    with serving(lambda visit: visit.answer()) as server:
        transport = Transport(nodes_of(server.url), Policy(attempts=1), Identity(None), tls_context())
        transport.send(READ)
        server.visits[0].connection.shutdown(socket.SHUT_RDWR)
        [line] = transport._whole._idle[transport.nodes.all[0]]
        line.idle_since -= LOOK_AFTER_S
        until(lambda: bool(line.get_extra_info("is_readable")))
        assert transport.send(READ).status == 200
        transport.close()
    assert len(server.visits) == 2


def test_one_that_was_closed_meanwhile_is_not_asked_on_a_loop() -> None:
    async def run(url: str) -> None:
        transport = AsyncTransport(nodes_of(url), Policy(attempts=1), Identity(None), tls_context())
        await transport.send(READ)
        server.visits[0].connection.shutdown(socket.SHUT_RDWR)
        [line] = transport._whole._idle[transport.nodes.all[0]]
        while line.is_open:  # noqa: ASYNC110 - the loop has to see it
            await asyncio.sleep(0)
        assert (await transport.send(READ)).status == 200
        await transport.close()

    with serving(lambda visit: visit.answer()) as server:
        asyncio.run(run(server.url))
    assert len(server.visits) == 2


@KEPT
def test_what_cannot_stand_in_a_head_is_not_sent(asking: Any) -> None:
    bad = [
        Asked("POST", "/write", key="two\r\nx: lines"),
        Asked("POST", "/write", key=" blank"),
        Asked("POST", "/wri te"),
        Asked("POST", "/write\r\nx: y"),
        Asked("GET", "/read", (("x", "a\nb"),)),
    ]
    with serving(lambda visit: visit.answer()) as server, asking(server.url) as ask:
        for asked in bad:
            with pytest.raises(blockdb.BlockDBError, match="cannot be sent"):
                ask(asked)
        assert ask(Asked("POST", "/write", key="")).status == 200
        assert ask(Asked("POST", "/write", key="schlüssel")).status == 200
    assert [visit.head.count("\r\n") for visit in server.visits] == [3, 3]


def test_who_gives_up_leaves_no_answer_for_the_next() -> None:
    """A task that is cancelled while it waits: what comes then is the answer to nobody."""
    release = threading.Event()

    def behaviour(visit: Visit) -> None:
        if not visit.number:
            assert release.wait(30)
        visit.answer(b"%d" % visit.number)

    async def run(url: str) -> bytes:
        transport = AsyncTransport(nodes_of(url), Policy(max_connections=1), Identity(None), tls_context())
        task = asyncio.ensure_future(transport.send(READ))
        waiting = asyncio.ensure_future(transport.send(READ))  # for the only connection
        while not server.visits:  # noqa: ASYNC110 - it is a thread that makes them
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        release.set()
        found = await waiting
        await transport.close()
        return found.body

    with serving(behaviour) as server:
        assert asyncio.run(run(server.url)) == b"1"


class Steps:
    """A loop of which the time passes where a test says so, and the transport of a connection on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now, self.unsent, self.is_aborted = 0.0, 100, False
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.time = lambda: self.now
        self.create_future = loop.create_future
        self.write = lambda _: None
        self.get_write_buffer_size = lambda: self.unsent

    def call_at(self, when: float, look: Callable[[], None]) -> Any:
        self.timers.append((when, look))
        return type("Handle", (), {"when": lambda _: when, "cancel": lambda _: None})()

    def abort(self) -> None:
        self.is_aborted = True

    def pass_to(self, now: float) -> None:
        self.now = now
        while self.timers and self.timers[-1][0] <= now:
            self.timers.pop()[1]()


def test_what_is_still_being_sent_is_a_sign_of_life() -> None:
    with asyncio.Runner() as runner:
        sent_slowly(Steps(runner.get_loop()))


def sent_slowly(steps: Steps) -> None:
    line = _Line(steps)  # type: ignore[arg-type]
    line._transport, line.is_open = steps, True  # type: ignore[assignment]
    asking = line.ask(b"request", Incoming(99), 1000.0, 10.0)
    asking.send(None)
    steps.pass_to(10)
    for now, unsent in ((20, 50), (30, 25), (40, 0)):
        steps.unsent = unsent
        steps.pass_to(now)
        assert not steps.is_aborted, now
    line.data_received(b"HTTP/1.1 200 OK\r\n")
    steps.pass_to(49)
    assert not steps.is_aborted
    steps.pass_to(51)
    assert steps.is_aborted
    with pytest.raises(httpcore.ReadTimeout):
        asking.send(None)


# ── what is tried again ──────────────────────────────────────────────────────────────────────────────────────────


def hang_up_once(visit: Visit) -> None:
    if not visit.number:
        visit.hang_up()
    visit.answer()


@pytest.mark.parametrize("asked", [READ, WRITE], ids=["read", "write"])
def test_who_hangs_up_is_asked_again_where_that_is_safe(ask: Ask, asked: Asked) -> None:
    with serving(hang_up_once) as server:
        assert ask(asked, server.url).status == 200
    assert len(server.visits) == 2
    assert len({visit.body for visit in server.visits}) == 1


def test_what_may_have_been_done_is_not_sent_again_without_a_key(ask: Ask) -> None:
    with (
        serving(hang_up_once) as server,
        pytest.raises(blockdb.RequestTimeout, match="Nobody can say whether it was done"),
    ):
        ask(BARE_WRITE, server.url)
    assert len(server.visits) == 1


def test_another_server_is_asked_where_one_is_away(ask: Ask) -> None:
    with serving(lambda visit: visit.answer()) as server:
        assert ask(WRITE, f"{free_address()},{server.url}").status == 200


def test_no_server_at_all(ask: Ask) -> None:
    first, second = free_address(), free_address()
    with pytest.raises(blockdb.Unavailable) as caught:
        ask(WRITE, f"{first},{second}")
    assert first in str(caught.value)
    assert second in str(caught.value)
    assert "onnect" in str(caught.value)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_who_is_asked_to_wait_waits(ask: Ask, status: str) -> None:
    def behaviour(visit: Visit) -> None:
        if visit.number:
            visit.answer()
        else:
            visit.answer(b"wait", status, f"{TYPE}retry-after: 0\r\n")

    with serving(behaviour) as server:
        # 429 without a time to wait for is a second
        reply = ask(READ, server.url) if "503" in status else ask(READ, server.url, timeout_s=1)
    assert reply.status == (200 if "503" in status else 429)


def test_nobody_waits_longer_than_there_is_time(ask: Ask) -> None:
    with serving(lambda visit: visit.answer(b"wait", "429 No", f"{TYPE}retry-after: 3600\r\n")) as server:
        assert ask(READ, server.url).status == 429
    assert len(server.visits) == 1


# ── hostile servers ──────────────────────────────────────────────────────────────────────────────────────────────


BOMB = gzip.compress(bytes(8_000_000), 1)


def bomb(visit: Visit) -> None:
    visit.answer(BOMB, headers=f"{TYPE}content-encoding: gzip\r\n")


def endless(visit: Visit) -> None:
    visit.say(f"HTTP/1.1 200 OK\r\n{TYPE}transfer-encoding: chunked\r\n\r\n")
    while not visit.over.is_set():
        visit.say(b"10000\r\n" + bytes(65536) + b"\r\n")


def drip(visit: Visit) -> None:
    """A byte of the headers now and then: never silent for long, never done."""
    visit.say("HTTP/1.1 200 OK\r\n")
    while not visit.over.wait(0.02):
        visit.say("x")


def drip_body(visit: Visit) -> None:
    visit.say(f"HTTP/1.1 200 OK\r\n{TYPE}content-length: 1000000\r\n\r\n")
    while not visit.over.wait(0.02):
        visit.say("x")


def cut_short(visit: Visit) -> None:
    visit.say(f"HTTP/1.1 200 OK\r\n{TYPE}content-length: 100\r\n\r\nhalf")
    visit.hang_up()


def damaged(visit: Visit) -> None:
    visit.answer(b"\x1f\x8b no gzip", headers=f"{TYPE}content-encoding: gzip\r\n")


HOSTILE: dict[str, tuple[Callable[[Visit], None], type[Exception], str]] = {
    "garbage": (lambda visit: (visit.say("\0\1\2garbage\r\n\r\n"), visit.hang_up())[0], blockdb.Unavailable, "hung up"),
    "nothing": (lambda visit: visit.hang_up(), blockdb.Unavailable, "hung up"),
    "cut short": (cut_short, blockdb.Unavailable, "hung up"),
    "silent": (lambda visit: visit.wait(), blockdb.RequestTimeout, "no answer in time"),
    "drips headers": (drip, blockdb.RequestTimeout, "no answer in time"),
    "drips a body": (drip_body, blockdb.RequestTimeout, "no answer in time"),
    "endless": (endless, blockdb.Unavailable, "larger than"),
    "claims to be huge": (
        lambda visit: visit.say(f"HTTP/1.1 200 OK\r\n{TYPE}content-length: 99999999999\r\n\r\n"),
        blockdb.Unavailable,
        "larger than",
    ),
    "bomb": (bomb, blockdb.Unavailable, "larger than"),
    "damaged compression": (damaged, blockdb.Unavailable, "damaged"),
    "unknown encoding": (
        lambda visit: visit.answer(headers=f"{TYPE}content-encoding: br\r\n"),
        blockdb.Unavailable,
        "'br', which was not asked for",
    ),
    "a page": (
        lambda visit: visit.answer(b"<html>", headers="content-type: text/html\r\n"),
        blockdb.Unavailable,
        "status 200 and text/html, as no BlockDB server does",
    ),
    "endless headers": (
        lambda visit: visit.say("HTTP/1.1 200 OK\r\n" + "x-header: y\r\n" * 20_000),
        blockdb.Unavailable,
        "hung up",
    ),
}


QUICK_ONES = ("garbage", "silent", "bomb", "a page")


@pytest.mark.parametrize("name", tiers(QUICK_ONES, sorted(HOSTILE.keys() - set(QUICK_ONES))))
def test_hostile_servers_end_in_an_error_in_time(ask: Ask, name: str) -> None:
    behaviour, error, told = HOSTILE[name]
    begun = time.monotonic()
    with serving(behaviour) as server, pytest.raises(error, match=told) as caught:
        ask(READ, server.url, timeout_s=0.3, read_timeout_s=0.2, max_answer_bytes=4_000_000, attempts=2)
    assert time.monotonic() - begun < 30
    assert server.url in str(caught.value)
    assert "bdb_secret" not in str(caught.value)


def test_nobody_knows_what_became_of_a_write_that_was_not_answered(ask: Ask) -> None:
    with (
        serving(lambda visit: visit.wait()) as server,
        pytest.raises(blockdb.RequestTimeout, match="Nobody can say whether it was done"),
    ):
        ask(WRITE, server.url, timeout_s=0.2)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect"])
def test_redirects_are_not_followed_and_the_token_goes_nowhere_else(ask: Ask, status: str) -> None:
    with (
        serving(lambda visit: visit.answer()) as elsewhere,
        serving(lambda visit: visit.answer(b"", status, f"location: {elsewhere.url}/\r\n")) as server,
    ):
        with pytest.raises(blockdb.Unavailable, match="sends requests elsewhere"):
            ask(READ, server.url)
        assert len(server.visits) == 1
        assert not elsewhere.visits


# ── its own end ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.torture
def test_closing_ends_what_is_under_way() -> None:
    asked = threading.Event()

    def behaviour(visit: Visit) -> None:
        asked.set()
        visit.wait()

    with serving(behaviour) as server:
        transport = Transport(nodes_of(server.url), Policy(), Identity(None), tls_context())
        caught: list[BaseException] = []

        def work() -> None:
            try:
                transport.send(READ)
            except blockdb.BlockDBError as error:
                caught.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        assert asked.wait(60)
        transport.close()
        thread.join(60)
        assert [type(error) for error in caught] == [blockdb.DatabaseClosed]
        transport.close()
        with pytest.raises(blockdb.DatabaseClosed):
            transport.send(READ)


def test_a_connection_that_is_opened_while_it_is_closed_is_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = httpcore.SyncBackend.connect_tcp
    connected: list[socket.socket] = []

    def connect_late(*given: Any) -> httpcore.NetworkStream:
        stream = connect(*given)
        connected.append(stream.get_extra_info("socket"))
        transport.close()
        return stream

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect_late)
    with serving(lambda visit: visit.answer()) as server:
        transport = Transport(nodes_of(server.url), Policy(), Identity(None), tls_context())
        with pytest.raises(blockdb.DatabaseClosed):
            transport.send(READ)
        assert [socket.fileno() for socket in connected] == [-1]


@pytest.mark.torture
def test_a_closed_loop_transport_ends_what_is_under_way() -> None:
    asked = threading.Event()

    def behaviour(visit: Visit) -> None:
        asked.set()
        visit.wait()

    async def run(url: str) -> None:
        transport = AsyncTransport(nodes_of(url), Policy(), Identity(None), tls_context())
        async with anyio.create_task_group() as tasks:

            async def work() -> None:
                with pytest.raises(blockdb.DatabaseClosed):
                    await transport.send(READ)

            tasks.start_soon(work)
            await anyio.to_thread.run_sync(asked.wait)
            await transport.close()
        with pytest.raises(blockdb.DatabaseClosed):
            await transport.send(READ)

    with serving(behaviour) as server:
        anyio.run(run, server.url)


@pytest.mark.torture
def test_a_forked_child_has_no_connection() -> None:
    with serving(lambda visit: visit.answer()) as server:
        transport = Transport(nodes_of(server.url), Policy(), Identity(None), tls_context())
        transport.send(READ)
        child = os.fork()
        if not child:
            try:
                transport.send(READ)
            except blockdb.DatabaseClosed:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert transport.send(READ).status == 200
        transport.close()


def test_a_stream_can_be_stopped_while_it_is_waited_for() -> None:
    def behaviour(visit: Visit) -> None:
        visit.say(f"HTTP/1.1 200 OK\r\n{TYPE}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        visit.wait()

    with serving(behaviour) as server:
        transport = Transport(nodes_of(server.url), Policy(), Identity(None), tls_context())
        reply = transport.open(Asked("GET", "/watch", is_long=True, may_be_silent=True))
        pieces = reply.pieces()
        assert next(pieces) == b"abc"
        threading.Timer(0.05, reply.stop).start()
        with pytest.raises(Exception, match="closed"):
            next(pieces)
        reply.close()
        transport.close()


# ── what is given ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "no address of a server"),
        ("localhost:8080", "no address of a server"),
        ("ftp://host", "no address of a server"),
        ("http://", "no address of a server"),
        ("http://host:port", "no URL"),
        ("http://user:secret@host", "has no user"),
        ("http://host?token=secret", "no question mark"),
        ("http://a,https://b", "some http"),
        ("http://ho st", "no address"),
    ],
)
def test_addresses_that_are_none(url: str, told: str) -> None:
    with pytest.raises(blockdb.InvalidData, match=told) as caught:
        nodes_of(url)
    assert "secret" not in str(caught.value)


def test_addresses() -> None:
    assert [str(node) for node in nodes_of("http://a:8080, https://b".replace("http:", "https:"))] == [
        "https://a:8080",
        "https://b:443",
    ]
    assert str(*nodes_of(["http://[::1]:8080/base/"])) == "http://[::1]:8080/base"
    assert [node.is_near for node in nodes_of("http://localhost,http://127.9.9.9,http://[::1],http://10.0.0.1")] == [
        True,
        True,
        True,
        False,
    ]


def test_a_token_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKDB_TOKEN", "bdb_from_the_environment\n")
    assert Identity(None).headers == (("authorization", "Bearer bdb_from_the_environment"),)
    assert "bdb" not in repr(Identity(None))
    assert Identity("").headers == ()
    with pytest.raises(blockdb.InvalidData) as caught:
        Identity("bdb_two\nlines")
    assert "two" not in str(caught.value)


@pytest.mark.parametrize("limits", [{"timeout_s": 0}, {"attempts": 1.5}, {"attempts": True}, {"read_timeout_s": "1"}])
def test_limits_that_cannot_be(limits: dict[str, Any]) -> None:
    with pytest.raises(blockdb.ConfigError, match=next(iter(limits))):
        Policy(**limits)


def test_certificates_that_cannot_be_used() -> None:
    with pytest.raises(blockdb.ConfigError, match="ca_file and certificate"):
        tls_context("/nowhere/ca.pem")
    assert tls_context().minimum_version == ssl.TLSVersion.TLSv1_2
