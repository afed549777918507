"""Statistics as recordings have them: the first one whole, of the others what changed (JSON Merge Patch, RFC 7396).

Tables and the buckets of latencies are objects by name and number, so that a change of one is only that. What is in
words (failures, problems) may name a key, and so it is not recorded; that there is something is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from functools import cache
from typing import Any, get_type_hints

import msgspec

from blockdb.errors import InvalidData
from blockdb.statistics import BUCKETS, Latency, Statistics, TableStatistics

__all__ = ["UNSAID", "Unpacker", "packed", "patch_of", "patched"]

UNSAID = "its words are not recorded"
_MOST = float(1 << 63)
_Plain = dict[str, Any]


# ── into a file ──


def packed(statistics: Statistics) -> _Plain:
    """A snapshot as an object of JSON; what is None is left out."""
    plain: _Plain = msgspec.to_builtins(statistics)
    plain["head_hash"] = statistics.head_hash.hex()
    plain["uptime_s"] = round(statistics.uptime_s, 1)
    plain["tables"] = {table.name: [table.tier, table.records, table.size_bytes] for table in statistics.tables}
    plain["scrub"]["problems"] = len(statistics.scrub.problems)
    for place, name in ((plain, "background_failure"), (plain, "writes_stopped"), (plain["scrub"], "failure")):
        place[name] = None if place[name] is None else UNSAID
    for place, name in _latencies(plain):
        place[name] = _packed_latency(place[name])
    return _without_none(plain)


def _latencies(plain: _Plain) -> list[tuple[_Plain, str]]:
    return [(plain, name) for name in plain if name.endswith("_latency")] + [(plain["transactions"], "wait_latency")]


def _packed_latency(latency: _Plain) -> _Plain:
    if not latency["buckets"]:
        return {name: value for name, value in latency.items() if value and name not in ("first_bucket", "buckets")}
    counted = enumerate(latency["buckets"], latency["first_bucket"])
    return {"max_us": latency["max_us"], "buckets": {str(bucket): times for bucket, times in counted if times}}


def _without_none(plain: _Plain) -> _Plain:
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in plain.items()
        if value is not None
    }


def patch_of(before: Mapping[str, Any], now: Mapping[str, Any]) -> _Plain:
    """What changed; null stands for what is gone."""
    patch: _Plain = {name: None for name in before if name not in now}
    for name, value in now.items():
        was = before.get(name)
        if value != was:
            both = isinstance(was, dict) and isinstance(value, dict)
            patch[name] = patch_of(was, value) if both else value  # type: ignore[arg-type]
    return patch


# ── out of a file ──


def patched(before: Mapping[str, Any], patch: Mapping[str, Any]) -> _Plain:
    """A snapshot after a change. What did not change is the very same object."""
    now = dict(before)
    for name, value in patch.items():
        if value is None:
            now.pop(name, None)
        elif isinstance(value, dict):
            was = now.get(name)
            now[name] = patched(was if isinstance(was, dict) else {}, value)
        else:
            now[name] = value
    return now


class Unpacker:
    """Makes snapshots out of objects of JSON; what is the very same object as before is not looked at again."""

    def __init__(self) -> None:
        self._plain: Mapping[str, Any] = {}
        self._values: _Plain = {}

    def statistics(self, plain: Mapping[str, Any]) -> Statistics:
        """A snapshot. Raises InvalidData, which names the field."""
        values = {}
        for name, (kind, is_required) in _fields().items():
            if name not in plain:
                if is_required:
                    raise InvalidData(f"there is no {name} in it")
                continue
            value = plain[name]
            is_known = name in self._values and value is self._plain.get(name)
            values[name] = self._values[name] if is_known else _unpacked(name, kind, value)
        self._plain, self._values = plain, values
        return Statistics(**values)


@cache
def _fields() -> dict[str, tuple[Any, bool]]:
    kinds = get_type_hints(Statistics)
    return {field.name: (kinds[field.name], field.default is MISSING) for field in fields(Statistics)}


def _unpacked(name: str, kind: Any, value: Any) -> Any:
    try:
        _insist_on_sane(value)
        if name == "head_hash":
            return bytes.fromhex(value)
        if name == "tables":
            return tuple(TableStatistics(table, *_three(numbers)) for table, numbers in value.items())
        if name.endswith("_latency"):
            return _latency(value)
        if name == "transactions" and "wait_latency" in value:
            waited = _latency(value["wait_latency"])
            return replace(msgspec.convert({**value, "wait_latency": {}}, kind), wait_latency=waited)
        if name == "scrub" and "problems" in value:
            value = {**value, "problems": [UNSAID] * min(int(value["problems"]), 100)}
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InvalidData(f"{name}: {error}") from None


def _three(numbers: Any) -> tuple[int, int, int]:
    tier, records, size = msgspec.convert(numbers, tuple[int, int, int])
    return tier, records, size


def _latency(value: Mapping[str, Any]) -> Latency:
    if "buckets" not in value:
        return msgspec.convert(value, Latency)
    counts = {int(bucket): times for bucket, times in msgspec.convert(value["buckets"], dict[str, int]).items()}
    if not counts:
        return Latency()
    first, last = min(counts), max(counts)
    if first < 0 or last >= BUCKETS:
        raise ValueError("there is no such bucket")
    return Latency.of([counts.get(at, 0) for at in range(first, last + 1)], float(value.get("max_us", 0.0)), first)


def _insist_on_sane(value: Any) -> None:
    """Numbers that no counter and no clock reaches are not drawn."""
    if isinstance(value, dict):
        for one in value.values():
            _insist_on_sane(one)
    elif isinstance(value, list):
        for one in value:
            _insist_on_sane(one)
    elif isinstance(value, int | float) and not (math.isfinite(value) and 0 <= value < _MOST):
        raise ValueError(f"{value} is out of range")
