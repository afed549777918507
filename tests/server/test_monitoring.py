"""What those who watch over a server are answered, over the door for HTTP."""

import asyncio
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import blockdb
from blockdb.alerts import FAULTS
from blockdb.server.http.application import Application
from blockdb.server.monitor import Monitor, outcome_of
from blockdb.server.service import Service
from blockdb.wire.failures import Failure
from tests.server.watching import Limits
from tests.storage.doors import TroubledDoor, open_through, until

BASE = "http://127.0.0.1"


def asked(
    application: Application, *requests: tuple[str, str] | tuple[str, str, dict[str, Any]]
) -> list[httpx.Response]:
    """The answers to requests, one after the other."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            return [
                await client.request(method, path, **(options[0] if options else {}))
                for method, path, *options in requests
            ]

    return asyncio.run(ask())


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    with blockdb.open(tmp_path / "db") as database:
        service = Service(database)
        application = Application(service)
        yield application
        service.close()
        application.close()


def put(key: str) -> tuple[str, str, dict[str, Any]]:
    return "POST", "/api/v1/put", {"json": {"key": key, "value": "value"}}


def test_health_of_a_server_that_is_well(application: Application) -> None:
    health, live, ready = asked(application, ("GET", "/health"), ("GET", "/health/live"), ("GET", "/health/ready"))
    assert health.status_code == live.status_code == ready.status_code == 200
    body = health.json()
    assert body == {"status": "healthy", "uptime": body["uptime"], "version": "0.1.0"}
    assert live.json() == {"status": "live"}
    assert ready.json() == {"status": "ready", "reasons": []}


def test_a_server_that_is_stopping(application: Application) -> None:
    application.service.is_stopping = True
    health, live, ready = asked(application, ("GET", "/health"), ("GET", "/health/live"), ("GET", "/health/ready"))
    assert (health.status_code, live.status_code, ready.status_code) == (503, 200, 503)
    assert health.json()["status"] == "unhealthy"
    assert ready.json() == {"status": "not ready", "reasons": ["stopping"]}


def test_a_database_that_takes_no_more_writes(tmp_path: Path) -> None:
    door = TroubledDoor()
    database = open_through(door, tmp_path / "db", wal_sync_interval=0)
    application = Application(Service(database))
    door.failing["force"] = errno.EIO
    refused, ready = asked(application, put("key"), ("GET", "/health/ready"))
    assert refused.status_code == ready.status_code == 503
    assert ready.json()["reasons"] == ["writes stopped"]
    application.close()
    with pytest.raises(blockdb.WritesStopped):
        database.close()
    monitor = Monitor(database)
    assert monitor.health().reasons == ("the database cannot be read",)


def test_requests_are_counted(application: Application) -> None:
    asked(application, put("one"), put("one"), ("GET", "/api/v1/get/one"), ("GET", "/api/v1/get/two"))
    [answer] = asked(application, ("GET", "/api/v1/server/statistics"))
    found = application.service.monitor.meters.snapshot()
    outcomes = {one.operation: dict(one.outcomes) for one in found.requests}
    assert outcomes == {
        "store": {"ok": 1, "DuplicateKey": 1},
        "fetch": {"ok": 1, "KeyNotFound": 1},
        "server_statistics": {"ok": 1},
    }
    assert (found.in_flight, found.streams) == (0, 0)
    assert found.bytes_received == 2 * len(b'{"key":"one","value":"value"}')
    assert found.bytes_sent > 100
    told = answer.json()["statistics"]
    assert told["in_flight"] == 1
    assert [one["operation"] for one in told["requests"]] == ["fetch", "store"]


def test_what_the_door_refuses_is_counted(application: Application) -> None:
    application.options.max_body_bytes = 10
    asked(application, put("much too long"), ("GET", "/api/v1/get/x", {"headers": {"authorization": "Basic x"}}))
    assert application.service.monitor.meters.snapshot().rejected == {"auth": 1, "size": 1}


def test_a_hook_that_fails_is_counted_as_the_answer(application: Application) -> None:
    def fail(*_: object) -> None:
        raise blockdb.StorageError("the audit log cannot be written")

    application.service.hooks.append(fail)
    assert asked(application, put("one"))[0].status_code == 500
    found = application.service.monitor.meters.snapshot()
    assert (found.requests[0].outcomes, found.in_flight) == ({"StorageError": 1}, 0)


def test_metrics_in_the_form_that_is_asked_for(application: Application) -> None:
    def metrics(accept: str) -> httpx.Response:
        return asked(application, ("GET", "/metrics", {"headers": {"accept": accept}}))[0]

    asked(application, put("one"), put("one"))
    brief = metrics("*/*")
    assert brief.headers["content-type"] == "application/json"
    assert list(brief.json()) == ["operations", "performance", "storage", "cluster"]
    assert brief.json()["operations"] == {"total_reads": 0, "total_writes": 1, "failed_operations": 1}
    for accept, parse in (("text/plain", parse_text), ("application/openmetrics-text", parse_openmetrics)):
        answer = metrics(accept)
        assert answer.headers["content-type"].startswith(accept)
        told = {sample.name: sample.value for family in parse(answer.text) for sample in family.samples}
        assert told["blockdb_puts_total"] == 1
    assert list(asked(application, ("GET", "/stats"))[0].json()) == ["config", "storage"]


def test_alerts_are_told(application: Application) -> None:
    assert asked(application, ("GET", "/api/v1/alerts"))[0].json() == {"success": True, "alerts": []}

    class Settings(Limits):
        webhook = ""
        interval = 3600

    application.service.monitor.watch(Settings(disk_free_percent=100))
    until(lambda: application.service.monitor.alerts)
    [alert] = asked(application, ("GET", "/api/v1/alerts"))[0].json()["alerts"]
    assert (alert["name"], alert["severity"]) == ("disk_space", "critical")


def test_faults_are_what_http_calls_errors_of_the_server() -> None:
    kinds = {name for name in dir(blockdb) if isinstance(getattr(blockdb, name), type)}
    errors = {name for name in kinds if issubclass(getattr(blockdb, name), blockdb.BlockDBError)}
    faults = {name for name in {*errors, "Internal"} - {"BlockDBError"} if Failure(kind=name, message="").status >= 500}
    assert set(FAULTS) == faults


def test_outcomes_are_named_by_kinds() -> None:
    assert outcome_of(None) == "ok"
    assert outcome_of(blockdb.KeyNotFound(b"secret")) == "KeyNotFound"
    assert outcome_of(KeyError("secret")) == "Internal"
