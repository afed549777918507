"""The findings told: a table of medians and ratios for people, raw numbers as JSON for later."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TypeAlias

from .cases import CASES, KEY_BYTES, VALUE_BYTES, Case
from .stores import Peer

__all__ = ["Results", "save", "table"]

Results: TypeAlias = Mapping[str, Mapping[str, Sequence[float]]]
"""Peer -> case -> one value for each round, in the case's unit."""

OURS = "BlockDB"


def table(results: Results, peers: Sequence[Peer], records: int) -> str:
    """Medians, a line for each case; the ratio is above 1 where BlockDB does better than its best peer."""
    names = [peer.name for peer in peers]
    heading = f"{'':22}{'unit':>5}" + "".join(f"{name:>10}" for name in names) + "   BlockDB / best peer"
    lines = [f"{records:,} records, keys of {KEY_BYTES} bytes, values of {VALUE_BYTES}, every put checked", "", heading]
    lines += [_line(case, results, names) for case in CASES]
    lines += ["", "A record survives a killed process:"]
    lines += [f"  {peer.name:8} {peer.survives_kill}" for peer in peers]
    lines += ["Forced each: on the disk before the answer:"]
    lines += [f"  {peer.name:8} {peer.forced}" for peer in peers]
    return "\n".join(lines)


def _line(case: Case, results: Results, names: Sequence[str]) -> str:
    medians = {name: median(results[name][case.name]) for name in names if case.name in results[name]}
    cells = "".join(f"{_number(medians[name]) if name in medians else '-':>10}" for name in names)
    return f"{case.name:22}{case.unit:>5}{cells}   {_ratio(case, medians)}"


def _ratio(case: Case, medians: Mapping[str, float]) -> str:
    others = {name: value for name, value in medians.items() if name != OURS}
    if OURS not in medians or not others:
        return "-"
    best = (max if case.more_is_better else min)(others, key=others.__getitem__)
    ratio = medians[OURS] / others[best]
    return f"{ratio if case.more_is_better else 1 / ratio:6.2f}  ({best})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def save(results: Results, records: int, directory: Path) -> Path:
    """Write the raw results beside those of other days, and say where."""
    day = time.strftime("%Y-%m-%d")
    path = directory / f"{day}-{records}.json"
    directory.mkdir(parents=True, exist_ok=True)
    content = {
        "day": day,
        "records": records,
        "machine": {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()},
        "versions": _versions(),
        "units": {case.name: case.unit for case in CASES},
        "rounds": {
            name: {case: [round(value, 4) for value in values] for case, values in cases.items()}
            for name, cases in results.items()
        },
    }
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _versions() -> dict[str, str]:
    installed = {d.name: d.version for d in importlib.metadata.distributions()}
    wanted = {name: installed[name] for name in ("blockdb", "lmdb", "rocksdict") if name in installed}
    return wanted | {"sqlite": sqlite3.sqlite_version}
