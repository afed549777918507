from hypothesis import given
from hypothesis import strategies as st

from blockdb.storage.statistics import Histogram
from blockdb.types import Latency

times_ns = st.lists(st.integers(1, 10**12), min_size=1, max_size=200)


@given(times_ns)
def test_quantiles_are_within_seven_percent(times: list[int]) -> None:
    histogram = Histogram()
    for elapsed in times:
        histogram.add(elapsed)
    latency = histogram.snapshot()
    ordered = sorted(times)
    assert latency.count == histogram.count == len(times)
    assert latency.max_us == ordered[-1] / 1000
    for share, found in ((0.50, latency.p50_us), (0.95, latency.p95_us), (0.99, latency.p99_us)):
        exact = next(time for rank, time in enumerate(ordered, 1) if rank >= share * len(ordered)) / 1000
        assert abs(found - exact) <= 0.07 * exact + 0.001
    assert latency.p50_us <= latency.p95_us <= latency.p99_us <= latency.max_us


def test_nothing_was_timed() -> None:
    assert Histogram().snapshot() == Latency(0, 0.0, 0.0, 0.0, 0.0)


def test_times_that_no_clock_should_give_do_no_harm() -> None:
    histogram = Histogram()
    for elapsed in (-5, 0, 2**63 - 1):
        histogram.add(elapsed)
    latency = histogram.snapshot()
    assert latency.count == 3
    assert latency.p50_us == 0
    assert latency.max_us == (2**63 - 1) / 1000


def test_a_snapshot_stays_as_it_was() -> None:
    histogram = Histogram()
    histogram.add(1000)
    before = histogram.snapshot()
    histogram.add(5000)
    assert (before.count, before.max_us) == (1, 1.0)
