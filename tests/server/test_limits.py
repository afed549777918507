"""What one caller may ask for, by a clock of the test's own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blockdb.config import ServerConfig
from blockdb.errors import RateLimited, RequestTooLarge
from blockdb.security.roles import Principal, Right, Role
from blockdb.server.limits import MOST_CALLERS, CallLimits, RateLimit


def test_a_second_is_allowed_at_once_and_then_one_after_the_other() -> None:
    now = [100.0]
    rate = RateLimit(10, lambda: now[0])
    for _ in range(10):
        rate.take("a")
    with pytest.raises(RateLimited) as told:
        rate.take("a")
    assert told.value.retry_after_s == pytest.approx(0.1)
    rate.take("b")
    now[0] += told.value.retry_after_s
    rate.take("a")
    with pytest.raises(RateLimited):
        rate.take("a")
    taken = 0
    for tick in range(1000):  # ten seconds of asking all the time
        now[0] = 200 + tick / 100
        try:
            rate.take("a")
            taken += 1
        except RateLimited:
            pass
    assert 100 <= taken <= 110
    rate.per_second = 0
    for _ in range(100):
        rate.take("a")


def test_those_who_asked_long_ago_are_forgotten() -> None:
    now = [0.0]
    rate = RateLimit(1, lambda: now[0])
    for number in range(3 * MOST_CALLERS):
        now[0] = number / 1000
        rate.take(str(number))
    assert len(rate._due) <= MOST_CALLERS + 1
    with pytest.raises(RateLimited):
        rate.take(str(3 * MOST_CALLERS - 1))


def call_of(name: str, right: Right | None = Right.READ, token_id: str | None = None) -> Any:
    return SimpleNamespace(
        keys=0,
        operation=SimpleNamespace(right=right, name="get"),
        principal=Principal(name, Role.READER, token_id=token_id),
    )


def test_calls() -> None:
    limits = CallLimits(ServerConfig(rate_limit=1, max_batch_operations=2), lambda: 5.0)
    limits(call_of("one", token_id="t1"), None)
    limits(call_of("one", token_id="t2"), None)
    with pytest.raises(RateLimited):
        limits(call_of("another name", token_id="t1"), None)
    for _ in range(5):
        limits(call_of("nobody", None), None)  # what everybody may ask
    limits.take_over(ServerConfig(max_batch_operations=3))
    for name in ("items", "operations", "keys"):
        limits(call_of("one"), SimpleNamespace(**{name: [1, 2, 3]}))
        with pytest.raises(RequestTooLarge, match=f"{name}: there are 4, and 3 are taken at once"):
            limits(call_of("one"), SimpleNamespace(**{name: [1, 2, 3, 4]}))
