from blockdb import Statistics
from blockdb_tui.history import History
from tests.tui.fake import FakeDatabase


def snapshot(records: int, gets: int = 0) -> Statistics:
    database = FakeDatabase()
    database.changes = {"records": records, "data_bytes": records * 10, "gets": gets, "scans": 0}
    return database.stats()


def test_rates_are_taken_over_the_last_second() -> None:
    history = History()
    for tick in range(9):
        history.add(tick * 0.25, snapshot(records=tick * 5, gets=tick))
    latest = history.latest
    assert latest is not None
    assert (latest.writes_per_s, latest.bytes_per_s, latest.reads_per_s) == (20.0, 200.0, 4.0)


def test_the_first_moment_has_no_rate() -> None:
    history = History()
    assert history.latest is None
    assert history.add(5.0, snapshot(1000)).writes_per_s == 0.0
    assert history.add(5.0, snapshot(2000)).writes_per_s == 0.0


def test_a_counter_that_starts_anew_is_no_negative_rate() -> None:
    history = History()
    history.add(0.0, snapshot(10, gets=100))
    assert history.add(1.0, snapshot(20, gets=0)).reads_per_s == 0.0


def test_a_longer_span_keeps_its_groups_as_time_passes() -> None:
    history = History()
    seen = []
    for tick in range(12):
        history.add(float(tick), snapshot(tick))
        seen.append(history.series(lambda moment: moment.statistics.records, 3, step=4))
    assert seen[3] == [3]
    assert seen[7] == [3, 7]
    assert seen[8] == [3, 7, 8]
    assert seen[9] == [3, 7, 9]
    assert seen[11] == [3, 7, 11]


def test_only_the_last_values_are_given() -> None:
    history = History()
    for tick in range(10):
        history.add(float(tick), snapshot(tick))
    assert history.series(lambda moment: moment.statistics.records, 3) == [7, 8, 9]
