"""Randomly changed proofs are refused: twenty thousand here, a million in the long tier."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

import pytest

from blockdb.ledger.proof import (
    BadProof,
    check_consistency,
    check_inclusion,
    run_root,
)
from tests.ledger import reference, stranger
from tests.ledger.mutations import Truth, try_mutants
from tests.tally import MUTANTS, tally

QUICK = 13_000
QUICK_RAW = 8_000
TORTURE = 1_000_000


@cache
def truth() -> Truth:
    return Truth()


def test_changed_receipts_are_refused() -> None:
    seen = try_mutants(truth(), QUICK, seed=1, script_every=20)
    tally(MUTANTS, QUICK)
    assert seen["asked the script"] > QUICK // 25


@pytest.mark.torture
def test_a_million_changed_receipts_are_refused() -> None:
    try_mutants(truth(), TORTURE, seed=2, script_every=5)
    tally(MUTANTS, TORTURE)


def changed_hashes(rng: Random, hashes: list[bytes]) -> list[bytes]:
    changed, others = list(hashes), [*hashes, bytes(32), rng.randbytes(32)]
    at, kind = rng.randrange(len(changed) + 1), rng.randrange(6)
    if kind == 0 or at == len(changed):
        changed.insert(at, rng.choice(others))
    elif kind == 1:
        del changed[at]
    elif kind == 2:
        changed[at] = rng.choice(others)
    elif kind == 3:
        to = rng.randrange(len(changed))
        changed[at], changed[to] = changed[to], changed[at]
    elif kind == 4:
        place = rng.randrange(32)
        changed[at] = (
            changed[at][:place] + bytes((changed[at][place] ^ 1 << rng.randrange(8),)) + changed[at][place + 1 :]
        )
    else:
        changed[at] = changed[at][: rng.randrange(32)] + changed[at][: rng.randrange(2, 33)]
    return changed


@cache
def root(size: int, leaves: int) -> bytes:
    """The root of the first leaves of a tree of some size."""
    return reference.root(TREES[size][:leaves])


@cache
def proof(kind: int, size: int, first: int, stop: int) -> list[bytes]:
    """For a leaf, for a beginning, or for a run of leaves of a tree."""
    leaves = TREES[size]
    if kind == 0:
        return stranger.path(first, leaves)
    return stranger.consistency(first, leaves) if kind == 1 else stranger.beside(first, stop, leaves)


TREES = {size: [reference.leaf(b"%d %d" % (size, number)) for number in range(size)] for size in range(1, 34)}


def changed_inclusion(rng: Random, leaves: list[bytes]) -> tuple[object, ...]:
    """Arguments of `check_inclusion`, one of them, or two, other than they should be."""
    size, index = len(leaves), rng.randrange(len(leaves))
    whole = root(size, size)
    good = (leaves[index], index, size, proof(0, size, index, 0), whole)
    wrong = (rng.choice([*leaves, whole]), rng.randrange(-1, size + 2), size, changed_hashes(rng, good[3]), whole)
    return tuple(rng.choice(pair) for pair in zip(good, wrong, strict=True))


def changed_consistency(rng: Random, leaves: list[bytes]) -> tuple[object, ...]:
    size, old = len(leaves), rng.randrange(1, len(leaves) + 1)
    roots = [root(size, old), root(size, size)]
    good = (old, size, *roots, proof(1, size, old, 0))
    wrong = (old, size, rng.choice([*leaves, roots[1]]), rng.choice([*leaves, roots[0]]), changed_hashes(rng, good[4]))
    return tuple(rng.choice(pair) for pair in zip(good, wrong, strict=True))


def changed_run(rng: Random, leaves: list[bytes]) -> tuple[object, ...]:
    size, (first, stop) = len(leaves), sorted(rng.sample(range(len(leaves) + 1), 2))
    good = (leaves[first:stop], first, size, proof(2, size, first, stop))
    shown = changed_hashes(rng, good[0])
    wrong = (shown, rng.randrange(-1, size + 2), size, changed_hashes(rng, good[3]))
    return tuple(rng.choice(pair) for pair in zip(good, wrong, strict=True))


def is_true(kind: int, given: tuple[Any, ...], leaves: list[bytes]) -> bool:
    """Whether what is given is after all what it should be."""
    if kind == 0:
        leaf, index, size, hashes, _ = given
        return 0 <= index < size and leaf == leaves[index] and hashes == proof(0, size, index, 0)
    if kind == 1:
        old, size, old_root, new_root, hashes = given
        if old == size:
            return bool(old_root == new_root) and not hashes
        roots = [root(size, old), root(size, size)]
        return [old_root, new_root] == roots and bool(hashes == proof(1, size, old, 0))
    shown, first, size, hashes = given
    stop = first + len(shown)
    return bool(shown) and first >= 0 and leaves[first:stop] == shown and hashes == proof(2, size, first, stop)


def accepts(kind: int, given: tuple[Any, ...], leaves: list[bytes]) -> bool:
    try:
        if kind == 2:
            return run_root(*given) == root(len(leaves), len(leaves))
        (check_inclusion, check_consistency)[kind](*given)
    except BadProof:
        return False
    return True


def try_raw(count: int, seed: int) -> None:
    """Proofs of leaves, of runs and of consistency, over trees of all small sizes, are accepted if they are true."""
    rng, refused = Random(seed), 0
    makers = (changed_inclusion, changed_consistency, changed_run)
    while refused < count:
        kind, leaves = rng.randrange(3), TREES[rng.randrange(1, 34)]
        given = makers[kind](rng, leaves)
        accepted = accepts(kind, given, leaves)
        assert accepted == is_true(kind, given, leaves), (kind, given)
        refused += not accepted


def test_changed_proofs_are_refused() -> None:
    try_raw(QUICK_RAW, seed=3)


@pytest.mark.torture
def test_many_changed_proofs_are_refused() -> None:
    try_raw(200_000, seed=4)
