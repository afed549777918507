"""A minute that is the same every time: an engine that fills and fails, and a cluster that loses its leader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blockdb import Statistics, TableStatistics
from blockdb.alerts import Alert
from blockdb.commands.recordings.events import Note
from blockdb.commands.recordings.keeping import Keeper
from blockdb.statistics import BUCKETS, Latency, ScrubStatistics, TransactionStatistics
from tests.tui.fake import NOW_MS, FakeDatabase, sample
from tests.tui.fake_cluster import SAMPLES, STEP_MS, story

GOLDEN = Path(__file__).parents[1] / "golden" / "recordings"
EVERY = 4
"""Of the fake cluster's samples so many make a step."""
SECRET = "key 'alice@example.org'"

DISK = Alert("disk_space", "", "critical", "4.2 % of the disk is free.", NOW_MS)
DAMAGE = Alert("scrub_problems", "", "critical", f"The scrubber found 1 wrong, first: {SECRET}", NOW_MS)


def statistics(step: int) -> Statistics:
    """The engine's, a second after the step before."""
    database = FakeDatabase(sample(8))
    records = 8 * (step + 1)
    counts = [0] * BUCKETS
    counts[90], counts[100 + step % 7] = 10 * step, step + 1
    latency = Latency.of(counts, 61.0)
    tables = tuple(TableStatistics(f"{number:06}.sst", 0, 800, 16_000) for number in range(step // 20))
    scrub = ScrubStatistics(problems=(f"chain/00000000.chain, record 25, {SECRET}",)) if step > 50 else None
    database.changes = {
        "records": records,
        "data_bytes": records * 140,
        "blocks": records // 32,
        "disk_bytes": records * 180 + 1_200_000,
        "gets": 100 * step,
        "put_latency": latency,
        "tables": tables,
        "flushes": step // 20,
        "stalls": step // 30,
        "uptime_s": float(step),
        "background_failure": f"StorageError: {SECRET}" if 40 <= step < 45 else None,
        "scrub": scrub or ScrubStatistics(),
        "transactions": TransactionStatistics(active=step % 3, wait_latency=latency if step > 30 else Latency()),
    }
    return database.stats()


def steps() -> Iterator[tuple[str, Any]]:
    """What there is to record, in order."""
    told = story()
    events = list(told.events)
    for step in range(SAMPLES // EVERY):
        now = told.samples[step * EVERY]
        while events and events[0].time_ms < now.time_ms:
            yield "event", events.pop(0)
        yield "sample", now
        yield "statistics", (now.time_ms, "orders" if step > 55 else "default", statistics(step))
        if step in (20, 30):
            yield "alerts", (now.time_ms, (DISK, DAMAGE) if step == 20 else ())
        if step == 35:
            yield "event", Note(now.time_ms, "verified", "8 blocks, 288 records")


def keep(path: Path) -> Keeper:
    """A recording of it."""
    keeper = Keeper(path, "/srv/records", NOW_MS - SAMPLES * STEP_MS)
    for what, item in steps():
        take = getattr(keeper, f"take_{what}")
        take(*item) if isinstance(item, tuple) else take(item)
    keeper.close()
    return keeper


if __name__ == "__main__":  # takes the golden file anew
    GOLDEN.joinpath("everything-v2.jsonl").unlink(missing_ok=True)
    keep(GOLDEN / "everything-v2.jsonl").path.chmod(0o644)
