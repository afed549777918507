from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.alerts import CALM, CERTIFICATE_MS, Evaluation, changes, evaluate
from blockdb.statistics import Latency, ScrubStatistics, ServerStatistics, Snapshot
from tests.server.watching import GIB, Limits, latency_of, requests, snapshot, with_default

NOW_MS = 1_700_000_000_000
USUAL = Limits()
NONE = Latency()


def free(percent: float) -> Snapshot:
    return snapshot(disk_free_bytes=int(percent * GIB))


def played(snapshots: Sequence[Snapshot], limits: Limits = USUAL) -> list[tuple[str, ...]]:
    """What was on after each of them."""
    told, state = [], None
    for one in snapshots:
        state = evaluate(limits, state, one)
        told.append(tuple(alert.name for alert in state.alerts))
    return told


def names(found: Snapshot, limits: Limits = USUAL, before: Snapshot | None = None) -> list[str]:
    state = None if before is None else Evaluation(before)
    return [alert.name for alert in evaluate(limits, state, found).alerts]


def test_all_is_well() -> None:
    assert evaluate(Limits(latency_ms=50, error_percent=5), None, snapshot()).alerts == ()


def test_it_begins_at_once_and_ends_when_it_was_calm() -> None:
    on, off = ("disk_space",), ()
    assert played([free(6), free(4.9), *[free(9)] * CALM]) == [off, on, *[on] * (CALM - 1), off]


def test_a_value_about_its_limit_does_not_flap() -> None:
    assert played([free(4.9), *[free(5.2), free(9), free(9)] * 5, free(9)])[-2:] == [("disk_space",), ()]
    assert played([free(5.2)] * 9) == [()] * 9, "near the limit nothing begins"


def test_when_it_began_is_kept() -> None:
    first = evaluate(Limits(), None, replace(free(3), time_ms=1000))
    second = evaluate(Limits(), first, replace(free(2), time_ms=2000))
    [alert] = second.alerts
    assert alert.since_ms == 1000
    assert alert.message.startswith("2.0 % of the disk is free, less than 5 %")
    assert changes(None, first) == (first.alerts, ())
    assert changes(first, second) == ((), ())
    assert changes(second, Evaluation(free(50))) == ((), second.alerts)


@given(st.lists(st.floats(0, 20), max_size=30))
@settings(max_examples=50)
def test_each_beginning_has_one_end(percents: list[float]) -> None:
    state, is_on = None, False
    for percent in percents:
        after = evaluate(Limits(), state, free(percent))
        began, ended = changes(state, after)
        assert len(began) + len(ended) <= 1
        assert not began or (not is_on and percent < 5)
        assert not ended or (is_on and percent >= 5.5)
        is_on, state = bool(after.alerts), after
        assert is_on or percent >= 5


def puts(*times_ms: float, before: Latency = NONE) -> Snapshot:
    return with_default(put_latency=Latency.merged((before, latency_of(*times_ms))))


def test_put_latency_is_that_since_the_last_look() -> None:
    limits = Limits(latency_ms=20)
    slow = puts(*[30.0] * 50)
    calm = puts(*[1.0] * 5000, before=slow.collections["default"].put_latency)
    assert names(slow, limits) == ["put_latency"]
    assert names(calm, limits, before=slow) == [], "what was slow before is over"
    assert names(slow, limits, before=slow) == [], "nothing happened"
    assert names(puts(*[30.0] * 15), limits) == [], "so few tell nothing"
    assert names(slow) == [], "the rule is off"
    assert names(slow, limits, before=calm) == ["put_latency"], "it was opened anew, and all of this is new"


def served(**outcomes: int) -> Snapshot:
    return snapshot(server=ServerStatistics(requests=(requests(**outcomes),)))


def test_errors_are_those_of_the_server_itself() -> None:
    limits = Limits(error_percent=5)
    assert names(served(ok=90, StorageError=10), limits) == ["error_rate"]
    assert names(served(ok=10, KeyNotFound=90), limits) == [], "that is the answer to what was asked"
    assert names(served(ok=9, Internal=1), limits) == [], "so few tell nothing"
    assert names(served(ok=190, StorageError=10), limits, before=served(ok=90, StorageError=10)) == []
    assert names(served(ok=190, StorageError=20), limits, before=served(ok=90, StorageError=10)) == ["error_rate"]
    assert names(served(ok=90, StorageError=10)) == [], "the rule is off"
    assert names(snapshot(server=None), limits) == []


@pytest.mark.parametrize(
    ("found", "name", "words"),
    [
        (with_default(writes_stopped="The disk failed."), "writes_stopped", "The disk failed."),
        (with_default(background_failure="No room."), "background_failure", "No room."),
        (snapshot(server=ServerStatistics(requests=(requests(Corruption=2),))), "damage", "met damage 2 times"),
        (
            with_default(scrub=ScrubStatistics(problems=("One.", "Two."))),
            "scrub_problems",
            "found 2 wrong, first: One.",
        ),
        (with_default(scrub=ScrubStatistics(failure="It died.")), "scrub_failed", "It died."),
        (snapshot(certificate_expires_ms=NOW_MS + CERTIFICATE_MS - 1), "certificate_expiring", "expires in 13 days"),
        (snapshot(certificate_expires_ms=NOW_MS), "certificate_expiring", "has expired"),
    ],
)
def test_integrity(found: Snapshot, name: str, words: str) -> None:
    [alert] = evaluate(Limits(), None, found).alerts
    assert alert.name == name
    assert words in alert.message
    assert names(found, Limits(integrity=False)) == []


def test_a_certificate_that_is_valid_for_long() -> None:
    assert names(snapshot(certificate_expires_ms=NOW_MS + CERTIFICATE_MS)) == []


def test_critical_ones_come_first_and_each_collection_is_told() -> None:
    bad = with_default(writes_stopped="x.", scrub=ScrubStatistics(failure="y."))
    bad = replace(
        bad, collections={name: replace(one, background_failure="z.") for name, one in bad.collections.items()}
    )
    told = [(alert.name, alert.subject) for alert in evaluate(Limits(), None, bad).alerts]
    assert told == [
        ("background_failure", "_journal"),
        ("background_failure", "default"),
        ("background_failure", "users"),
        ("writes_stopped", "default"),
        ("scrub_failed", ""),
    ]


def test_a_collection_that_is_gone_ends_its_alerts() -> None:
    assert played([with_default(background_failure="x."), *[snapshot()] * CALM])[-1] == ()
