import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Event, Thread
from typing import Any

import pytest

from blockdb.alerts import CALM, Alert
from blockdb.server.alerts import AlertWatch
from blockdb.server.webhook import Webhook
from blockdb.statistics import Snapshot
from tests.server.watching import GIB, Limits, snapshot
from tests.storage.doors import PATIENCE_S, until

ALERT = Alert("disk_space", "", "critical", "No room.", 1_700_000_000_000)


class Receiver:
    """A webhook's other end, which answers with the given statuses first, and with 204 then."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.gate = Event()
        self.gate.set()

    def take(self, request: BaseHTTPRequestHandler) -> None:
        assert self.gate.wait(PATIENCE_S)
        body = request.rfile.read(int(request.headers["content-length"]))
        self.headers.append(dict(request.headers))
        self.bodies.append(json.loads(body))
        request.send_response(self.statuses.pop(0) if self.statuses else 204)
        request.send_header("content-length", "0")
        request.end_headers()


@contextmanager
def listening(receiver: Receiver) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self)

        def log_message(self, format: str, *values: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=lambda: server.serve_forever(0.01))
        thread.start()
        try:
            yield f"http://user:sesame@127.0.0.1:{server.server_port}/hook?token=sesame"
        finally:
            receiver.gate.set()
            server.shutdown()
            thread.join()


@contextmanager
def posting(url: str, **options: Any) -> Iterator[Webhook]:
    webhook = Webhook(url, now_s=lambda: 1_700_000_060.0, **{"pauses_s": (0.0, 0.0)} | options)
    try:
        yield webhook
    finally:
        webhook.close()
        assert not webhook._thread.is_alive()


def watching(snapshots: list[Snapshot], *listeners: Callable[..., None]) -> AlertWatch:
    """A watch that sees these snapshots, one at each look."""
    left = iter(snapshots)
    return AlertWatch(lambda: next(left), Limits(), 10, *listeners)


FULL = snapshot(disk_free_bytes=GIB)


def test_what_begins_and_ends_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[str, str]] = []
    watch = watching(
        [snapshot(), FULL, FULL, *[snapshot()] * CALM], lambda event, alert: told.append((event, alert.name))
    )
    with caplog.at_level(logging.INFO, "blockdb.server.alerts"):
        for active in (0, 1, 1, 1, 1, 0):
            watch.look()
            assert len(watch.active) == active
    assert told == [("began", "disk_space"), ("ended", "disk_space")]
    began, ended = caplog.records
    assert (began.levelname, vars(began)["event"], vars(began)["alert"]) == ("WARNING", "alert_began", "disk_space")
    assert (ended.levelname, vars(ended)["event"]) == ("INFO", "alert_ended")


def test_what_was_on_before_does_not_begin_again() -> None:
    told: list[str] = []
    before = watching([FULL])
    before.look()
    before.close()
    after = AlertWatch(lambda: FULL, Limits(), 10, lambda event, _: told.append(event), before=before)
    assert after.active == before.active
    after.look()
    assert told == []


def test_it_looks_by_itself_and_survives_trouble(caplog: pytest.LogCaptureFixture) -> None:
    looks: list[Snapshot] = []

    def look() -> Snapshot:
        looks.append(FULL)
        if len(looks) == 1:
            raise OSError("no such disk")
        return FULL

    watch = AlertWatch(look, Limits(), 0.001)
    watch.start()
    until(lambda: watch.active)
    watch.close()
    watch.close()
    assert len(watch.active) == 1
    assert "no such disk" in caplog.text


def test_a_webhook_is_told_of_both() -> None:
    receiver = Receiver()
    with listening(receiver) as url, posting(url) as webhook:
        watch = watching([FULL, *[snapshot()] * CALM], webhook)
        for _ in range(1 + CALM):
            watch.look()
        until(lambda: len(receiver.bodies) == 2)
    assert receiver.bodies[0] == {
        "event": "began",
        "alert": "disk_space",
        "subject": "",
        "severity": "critical",
        "message": "1.0 % of the disk is free, less than 5 %: make room, or writes will stop.",
        "since": "2023-11-14T22:13:20Z",
        "time": "2023-11-14T22:14:20Z",
        "source": "blockdb/0.1.0",
    }
    assert receiver.bodies[1]["event"] == "ended"
    assert receiver.headers[0]["Content-Type"] == "application/json"


def test_it_is_tried_again_in_order_and_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver(500, 302, 503, 503, 503)
    with caplog.at_level(logging.DEBUG), listening(receiver) as url, posting(url) as webhook:
        webhook("began", ALERT)
        webhook("ended", ALERT)
        webhook("began", ALERT)
        until(lambda: len(receiver.bodies) == 7)
    assert [body["event"] for body in receiver.bodies] == ["began"] * 3 + ["ended"] * 3 + ["began"]
    assert "the webhook at 127.0.0.1 was not told of disk_space: it answered 503" in caplog.text
    assert "sesame" not in caplog.text


def test_a_receiver_that_does_not_answer_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    receiver.gate.clear()
    with listening(receiver) as url, posting(url, limit=2, timeout_s=0.5, pauses_s=()) as webhook:
        for _ in range(10):
            webhook("began", ALERT)
        assert "an event was dropped" in caplog.text
        until(lambda: "was not told of disk_space: ReadTimeout" in caplog.text)


def test_nobody_is_there(caplog: pytest.LogCaptureFixture) -> None:
    with posting("http://127.0.0.1:9/") as webhook:
        webhook("began", ALERT)
        until(lambda: "was not told of disk_space: ConnectError" in caplog.text)


def test_closing_ends_the_pause_between_attempts() -> None:
    receiver = Receiver(500)
    with listening(receiver) as url, posting(url, pauses_s=(3600.0,)) as webhook:
        webhook("began", ALERT)
        until(lambda: receiver.bodies)
