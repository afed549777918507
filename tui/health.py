"""How a database is, as far as the explorer knows: a few checks, each with a sign and a word. Reads nothing itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from blockdb.commands.display import human_bytes, human_count, human_duration, plural, printable

if TYPE_CHECKING:
    from blockdb import Statistics

    from .app import Explorer

__all__ = ["Check", "checks", "verdict"]


class Check(NamedTuple):
    """One thing that may be well or not: its name, a sign and a word with the role that colours them, and the rest.

    All of it is fit to be shown.
    """

    name: str
    glyph: str
    word: str
    role: str
    detail: str = ""


def verdict(found: list[Check]) -> Check:
    """What all checks come to."""
    wrong = [check.name for check in found if check.role == "error"]
    doubtful = [check.name for check in found if check.role == "warning"]
    if wrong or doubtful:
        return Check(
            "", "✗" if wrong else "!", "look at " + ", ".join(wrong + doubtful), "error" if wrong else "warning"
        )
    return Check("", "✓", "nothing wrong is known", "success")


def checks(explorer: Explorer) -> list[Check]:
    """What can be said now, the most important first."""
    moment = explorer.history.latest
    found = [_database(explorer), _alerts(explorer)]
    if moment is not None:
        found += [_integrity(explorer, moment.statistics), _writes(explorer, moment.statistics, moment.writes_per_s)]
    if explorer.scene is not None and explorer.scene.story.samples:
        found.append(_cluster(explorer))
    if moment is not None:
        found += _background(moment.statistics)
    return found


def _database(explorer: Explorer) -> Check:
    name, origin = "database", explorer.origin
    if explorer.replay is not None:
        return Check(name, "▶", "recorded", "accent", printable(explorer.replay.recording.of))
    if explorer.contact.lost:
        return Check(name, "◌", "no answer", "error", "it is asked again and again")
    if origin.is_server:
        proven = ", each read proven" if origin.is_verified else ""
        return Check(name, "●", "connected", "success", f"{printable(origin.name)}{proven}")
    if explorer.database is not None and not explorer.database.read_only:
        return Check(name, "●", "open", "success", "written by this process")
    return Check(name, "○", "attached", "success", "read-only, beside whoever writes it")


def _alerts(explorer: Explorer) -> Check:
    alerts = explorer.alarms.alerts
    if alerts:
        role = "error" if any(alert.severity == "critical" for alert in alerts) else "warning"
        detail = ", ".join(dict.fromkeys(printable(alert.name) for alert in alerts))
        return Check("alerts", "✗", f"{plural(len(alerts), 'alert')} on", role, detail)
    if unknown := explorer.alarms.unknown:
        word, _, why = unknown.partition(": ")
        return Check("alerts", "·", word, "muted", why)
    return Check("alerts", "✓", "none", "success", "disk, latency, errors and integrity are as they should be")


def _integrity(explorer: Explorer, statistics: Statistics) -> Check:
    name, verification, scrub = "integrity", explorer.verification, statistics.scrub
    if verification.running:
        return Check(name, "◐", "verifying", "accent", f"{verification.share:.0%} of the chain")
    report = verification.report
    if report is not None and report.problems:
        return Check(name, "✗", "damaged", "error", f"{plural(len(report.problems), 'problem')}; p lists them")
    if scrub.problems:
        return Check(name, "✗", "damaged", "error", f"the scrubber found {plural(len(scrub.problems), 'problem')}")
    proven = 0 if explorer.collection is None else verification.proven_to(explorer.collection)
    if proven:
        of = f"{human_count(proven)} of {plural(statistics.blocks, 'block')} recomputed"
        return Check(name, "✓", verification.good, "success", of)
    if scrub.passes:
        passes = "pass" if scrub.passes == 1 else "passes"
        return Check(name, "·", "scrubbed", "muted", f"{human_count(scrub.passes)} {passes} found nothing")
    return Check(name, "·", "not verified", "muted", "v recomputes the chain")


def _writes(explorer: Explorer, statistics: Statistics, rate: float) -> Check:
    name = "writes"
    if statistics.writes_stopped is not None:
        return Check(name, "✗", "stopped", "error", printable(statistics.writes_stopped))
    if statistics.background_failure is not None:
        return Check(name, "✗", "failing", "error", printable(statistics.background_failure))
    open_records, full = statistics.open_block_records, statistics.blockchain_batch_size
    detail = f"block {human_count(statistics.blocks)} is {open_records / max(1, full):.0%} full"
    if rate:
        return Check(name, "●", "flowing", "success", detail)
    return Check(name, "○", "none now", "muted", detail)


def _cluster(explorer: Explorer) -> Check:
    assert explorer.scene is not None
    sample = explorer.scene.now
    assert sample is not None
    if differing := [printable(lane.id) for lane in sample.lanes if lane.agrees is False]:
        return Check("cluster", "≠", "diverged", "error", ", ".join(differing))
    if sample.leader is None:
        return Check("cluster", "×", "no leader", "error", "no write is taken until one is elected")
    agreeing = sum(lane.agrees is True for lane in sample.lanes)
    detail = f"{agreeing} of {plural(len(sample.lanes), 'chain')} agree · term {human_count(sample.leader.term)}"
    return Check("cluster", "◆", f"{printable(sample.leader.id)} leads", "success", detail)


def _background(statistics: Statistics) -> Iterator[Check]:
    work = [name for name, busy in (("flushing", statistics.flushing), ("compacting", statistics.compacting)) if busy]
    uptime_s = int(statistics.uptime_s)
    minutes = human_duration(uptime_s - uptime_s % 60).removesuffix(" 0 s")
    since = f"open for {minutes if uptime_s >= 60 else 'less than a minute'}"
    if work:
        yield Check("engine", "◐", " and ".join(work), "accent", since)
    else:
        yield Check("engine", "○", "rests", "muted", since)
    if statistics.scrub.rate_limit:
        pace = f"{human_bytes(statistics.scrub.rate_limit)}/s"
        yield Check("scrubber", "◐" if statistics.scrub.running else "○", "on", "success", pace)
    found = statistics.transactions
    if found.active or found.committed or found.aborted:
        role = "warning" if found.waiting else "success"
        waiting = f"{human_count(found.waiting)} waiting, " if found.waiting else ""
        ended = f"{waiting}{human_count(found.committed)} committed, {human_count(found.aborted)} aborted"
        yield Check("transactions", "⇄", f"{human_count(found.active)} open", role, ended)
