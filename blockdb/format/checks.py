"""What may be stored: types and limits of keys, values and batches, checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from blockdb.errors import InvalidData
from blockdb.format.limits import MAX_BATCH_BYTES, MAX_BATCH_RECORDS, MAX_KEY_BYTES, MAX_VALUE_BYTES
from blockdb.format.sizes import are_same
from blockdb.types import REDACTED

K = TypeVar("K")
V = TypeVar("V")


def check_key(key: object) -> bytes:
    """The key, if it is one. Raises InvalidData."""
    if not isinstance(key, bytes):
        raise InvalidData(f"A key is bytes, not {type(key).__name__}; encode text first, as in 'text'.encode().")
    if not key:
        raise InvalidData("A key has at least one byte; this one is empty.")
    if len(key) > MAX_KEY_BYTES:
        raise InvalidData(f"A key has at most {MAX_KEY_BYTES} bytes; this one has {len(key)}.")
    return key


def check_value(value: object, max_bytes: int = MAX_VALUE_BYTES) -> bytes:
    """The value, if it is one, of `max_bytes` at most. Raises InvalidData."""
    if not isinstance(value, bytes):
        raise InvalidData(f"A value is bytes, not {type(value).__name__}; encode text first, as in 'text'.encode().")
    if len(value) > max_bytes:
        raise InvalidData(f"A value has at most {max_bytes} bytes; this one has {len(value)}. Store it in parts.")
    if value is REDACTED:
        raise InvalidData("The value of a redacted record is gone; what stands for it cannot be stored as one.")
    return value


def check_batch(
    items: Iterable[tuple[bytes, bytes]], max_bytes: int = MAX_VALUE_BYTES
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The keys and the values of a batch. Raises InvalidData where it, or one of its items, may not be.

    A value may have `max_bytes`.
    """
    return check_records(*unzipped(list(items)), max_bytes)


def unzipped(items: Sequence[tuple[K, V]]) -> tuple[tuple[K, ...], tuple[V, ...]]:
    """Keys and values apart. Raises InvalidData where something is no pair, or there are too many."""
    if len(items) > MAX_BATCH_RECORDS:
        raise InvalidData(f"A batch has at most {MAX_BATCH_RECORDS} records; this one has {len(items)}. Split it.")
    try:  # twice through is three times as quick as zip(*items)
        return tuple([key for key, _ in items]), tuple([value for _, value in items])
    except (TypeError, ValueError):
        raise InvalidData("A batch consists of pairs of a key and a value.") from None


def by_keys(items: Sequence[tuple[K, V]]) -> dict[K, V] | None:
    """The values of a batch by their keys, in its order; None where a key is repeated, or something is no pair.

    It takes no longer than to unzip them (`unzipped`, which says what is wrong).
    """
    if len(items) > MAX_BATCH_RECORDS:
        return None
    try:
        found = dict(items)
    except (TypeError, ValueError):
        return None
    return found if len(found) == len(items) else None


def check_records(
    keys: tuple[bytes, ...], values: tuple[bytes, ...], max_bytes: int = MAX_VALUE_BYTES
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The keys and the values of a batch, each and all together found acceptable. Raises InvalidData."""
    longest = _longest(keys, 1, MAX_KEY_BYTES, check_key)
    longest += _longest(values, 0, max_bytes, lambda value: check_value(value, max_bytes))
    if longest * len(keys) > MAX_BATCH_BYTES:  # else there is no need to add them up
        total = sum(map(len, keys)) + sum(map(len, values))
        if total > MAX_BATCH_BYTES:
            raise InvalidData(f"A batch has at most {MAX_BATCH_BYTES} bytes; this one has {total}. Split it.")
    return keys, values


def _longest(column: Sequence[bytes], least_bytes: int, most_bytes: int, check: Callable[[object], bytes]) -> int:
    """The size of the longest of these, all of them found acceptable. `check` says what is wrong with one."""
    if list(map(type, column)).count(bytes) == len(column):
        sizes = list(map(len, column))
        if are_same(sizes):
            del sizes[1:]
        if min(sizes, default=least_bytes) >= least_bytes and max(sizes, default=0) <= most_bytes:
            return max(sizes, default=0)
    return max(map(len, map(check, column)))


def first_repeated(keys: Sequence[bytes]) -> bytes:
    """The first key that stands in a batch for the second time; there is one."""
    seen: set[bytes] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("no key is repeated")


def check_bounds(*bounds: object) -> None:
    """Raises InvalidData where a bound of a range of keys is neither bytes nor None."""
    for bound in bounds:
        if bound is not None and not isinstance(bound, bytes):
            raise InvalidData(f"prefix, start and end are bytes, not {type(bound).__name__}.")


def check_counts(limit: int | None, first: int) -> None:
    """Raises InvalidData for a negative number."""
    if first < 0 or (limit is not None and limit < 0):
        raise InvalidData("How many, and from which one, should not be negative.")
