from threading import Thread
from time import perf_counter_ns

import pytest

from blockdb.server.meters import OK, Level, Meters
from blockdb.statistics import ServerStatistics


@pytest.fixture
def meters() -> Meters:
    return Meters(iter((5.0, 12.5)).__next__, lambda: 1_700_000_000.5)


def test_nothing_was_counted_yet(meters: Meters) -> None:
    found = meters.snapshot()
    assert found == ServerStatistics(started_ms=1_700_000_000_500, uptime_s=7.5)
    assert found.failed == 0


def test_requests_by_operation_door_and_outcome(meters: Meters) -> None:
    for door, outcome, took_ms in (("http", OK, 1), ("http", "DuplicateKey", 2), ("grpc", OK, 3), ("http", OK, 3)):
        meters.count("put", door, outcome, took_ms / 1000)
    meters.count("get", "http", OK, 0.0)
    found = meters.snapshot()
    assert [(one.operation, one.door, one.outcomes) for one in found.requests] == [
        ("get", "http", {"ok": 1}),
        ("put", "grpc", {"ok": 1}),
        ("put", "http", {"DuplicateKey": 1, "ok": 2}),
    ]
    assert found.requests[2].latency.count == 3
    assert found.requests[2].latency.max_us == 3000
    assert (found.answered, found.failed, found.ended("ok")) == (5, 1, 4)


def test_what_is_under_way() -> None:
    meters = Meters()
    meters.in_flight.up()
    with meters.connections.one(), meters.streams.one():
        found = meters.snapshot()
        assert (found.in_flight, found.connections, found.streams) == (1, 1, 1)
    meters.in_flight.down()
    found = meters.snapshot()
    assert (found.in_flight, found.connections, found.connections_accepted, found.streams) == (0, 0, 1, 0)


def test_bytes_and_what_was_turned_away(meters: Meters) -> None:
    meters.transfer(received_bytes=10)
    meters.transfer(received_bytes=5, sent_bytes=7)
    for reason in ("size", "rate", "size"):
        meters.reject(reason)
    found = meters.snapshot()
    assert (found.bytes_received, found.bytes_sent) == (15, 7)
    assert found.rejected == {"rate": 1, "size": 2}


def test_a_snapshot_stays_as_it_was(meters: Meters) -> None:
    before = meters.snapshot()
    meters.count("put", "http", OK, 0.001)
    assert before.requests == ()


def test_levels_are_exact_under_threads() -> None:
    level = Level()

    def use() -> None:
        for _ in range(2_000):
            with level.one():
                pass

    threads = [Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (level.now, level.ever) == (0, 8_000)


@pytest.mark.torture
def test_a_request_costs_less_than_two_microseconds() -> None:
    meters = Meters()

    def batch_ns() -> float:
        began = perf_counter_ns()
        for _ in range(10_000):
            meters.in_flight.up()
            meters.count("put", "http", OK, 0.001)
            meters.in_flight.down()
        return (perf_counter_ns() - began) / 10_000

    assert min(batch_ns() for _ in range(20)) < 2_000
