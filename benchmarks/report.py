"""The findings told: a table of medians, goals and ratios for people, raw numbers as JSON for later."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

from .data import KEY_BYTES, VALUE_BYTES
from .lines import OURS, Goal, Line
from .stores import PEERS

__all__ = ["Results", "save", "table", "verdict"]

Results: TypeAlias = Mapping[str, Mapping[str, Sequence[float]]]
"""Line -> who took part -> one value for each round, in the line's unit."""

MODULES: Final = ("blockdb", "lmdb", "plyvel", "rocksdict")


def table(results: Results, lines: Sequence[Line], skipped: Mapping[str, str], records: int) -> str:
    """Medians, a row for each goal: BlockDB's value, its ratio to the best peer that the goal names, and the rest."""
    rows = [row for line in lines for row in _rows(line, results.get(line.name, {}), skipped.get(line.name))]
    present = {name for who in results.values() for name, rounds in who.items() if rounds}
    peers = [peer for peer in PEERS.values() if peer.name in present]
    told = {line.name for line in lines}
    absent = sorted({peer.name for peer in PEERS.values() if not peer.installed})
    return "\n".join([
        f"{records:,} records, keys of {KEY_BYTES} bytes, values of {VALUE_BYTES}; medians",
        "",
        f"{'':32}{'unit':>5}{OURS:>10}{'ratio':>7}  {'goal':<35}{'reached':<8} others",
        *rows,
        "",
        "A record survives a killed process:",
        *(f"  {peer.name:<21}{peer.survives_kill}" for peer in peers),
        "Forced each: on the disk before the answer:",
        *(f"  {peer.name:<21}{peer.forced}" for peer in peers),
        *([f"Not installed: {', '.join(absent)}"] if absent else []),
        *(f"Not measured: {name}, since {reason}" for name, reason in skipped.items() if name not in told),
        f"Load average: {' '.join(f'{load:.1f}' for load in os.getloadavg())}, on {os.cpu_count()} cores",
    ])  # fmt: skip


def _rows(line: Line, values: Mapping[str, Sequence[float]], reason: str | None) -> Iterator[str]:
    medians = {name: median(rounds) for name, rounds in values.items() if rounds}
    head = f"{line.name:<32}{line.unit:>5}"
    if OURS not in medians:
        yield f"{head}{'-':>10}  not measured{f': {reason}' if reason else ''}"
        return
    others = " · ".join(f"{name} {_number(value)}" for name, value in medians.items() if name != OURS)
    head += f"{_number(medians[OURS]):>10}"
    if not line.goals:
        yield f"{head}{'':53}{others}".rstrip()
    for goal in line.goals:
        ratio, reached = verdict(line, goal, medians)
        told = f"{ratio:7.2f}" if ratio is not None and goal.against else f"{'':7}"
        answer = "-" if reached is None else "yes" if reached else "no"
        yield f"{head}{told}  {_words(line, goal):<35}{answer:<8} {others}".rstrip()
        head, others = f"{'':47}", ""


def verdict(line: Line, goal: Goal, medians: Mapping[str, float]) -> tuple[float | None, bool | None]:
    """BlockDB's value over that of the best peer that the goal names, and whether that reaches the goal.

    None and None where one of them is missing: the best of fewer would be an easier goal.
    """
    if OURS not in medians or not set(goal.against) <= medians.keys():
        return None, None
    best = max if line.more_is_better else min
    ratio = medians[OURS] / (best(medians[name] for name in goal.against) if goal.against else 1)
    return ratio, ratio >= goal.limit if line.more_is_better else ratio <= goal.limit


def _words(line: Line, goal: Goal) -> str:
    words = f"{'≥' if line.more_is_better else '≤'} {_number(goal.limit)}"
    if not goal.against:
        return f"{words} {line.unit}"
    names = ", ".join(name for name in goal.against if not _is_variant(name, goal.against))
    return f"{words} × {'best of ' if ', ' in names else ''}{names}"


def _is_variant(name: str, names: Sequence[str]) -> bool:
    return any(name.startswith(f"{other} ") for other in names)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def save(results: Results, lines: Sequence[Line], records: int, directory: Path) -> Path:
    """Write the raw results beside those of other days, and say where."""
    day = time.strftime("%Y-%m-%d")
    path = directory / f"{day}-{records}.json"
    directory.mkdir(parents=True, exist_ok=True)
    content = {
        "day": day,
        "records": records,
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()},
        "versions": _versions(),
        "units": {line.name.strip(): line.unit for line in lines if line.name in results},
        "rounds": {
            line.strip(): {name: [round(value, 4) for value in values] for name, values in who.items() if values}
            for line, who in results.items()
        },
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _versions() -> dict[str, str]:
    installed = {d.name: d.version for d in importlib.metadata.distributions()}
    return {name: installed[name] for name in MODULES if name in installed} | {"sqlite": sqlite3.sqlite_version}
