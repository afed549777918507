"""Proofs: the vectors of RFC 6962, the recursion of the standard as an oracle, and proofs that were changed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.ledger.merkle import EMPTY_ROOT, levels, node_hash, root_of
from blockdb.ledger.proof import (
    BadProof,
    NodeAt,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    inclusion_steps,
    root_at,
    run_proof,
    run_root,
)
from tests.ledger import reference
from tests.ledger.test_merkle import LEAVES, ROOTS

trees = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=70)


def nodes_of(leaves: Sequence[bytes]) -> NodeAt:
    found = levels(leaves)
    return lambda level, number: found[level][number]


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH of RFC 6962 §2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path(index, leaves[:split]), reference.root(leaves[split:])]
    return [*path(index - split, leaves[split:]), reference.root(leaves[:split])]


def subproof(old: int, leaves: Sequence[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 §2.1.2."""
    if old == len(leaves):
        return [] if whole else [reference.root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if old <= split:
        return [*subproof(old, leaves[:split], whole), reference.root(leaves[split:])]
    return [*subproof(old - split, leaves[split:], False), reference.root(leaves[:split])]


def test_the_examples_of_the_standard() -> None:
    """RFC 6962 §2.1.3: seven leaves, with the letters that it gives their nodes."""
    a, b, c, d, e, f, j = LEAVES[:7]
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, l = node_hash(g, h), node_hash(i, j)  # noqa: E741
    node_at = nodes_of(LEAVES[:7])
    for index, proof in ((0, [b, h, l]), (3, [c, g, l]), (4, [f, j, k]), (6, [i, k])):
        assert inclusion_proof(index, 7, node_at) == proof
        check_inclusion(LEAVES[index], index, 7, proof, bytes.fromhex(ROOTS[7]))
    for old, proof in ((3, [c, d, g, l]), (4, [l]), (6, [i, j, k])):
        assert consistency_proof(old, 7, node_at) == proof
        check_consistency(old, 7, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[7]), proof)


@pytest.mark.parametrize("size", range(1, 9))
def test_the_public_vectors_in_every_pair(size: int) -> None:
    node_at, root = nodes_of(LEAVES[:size]), bytes.fromhex(ROOTS[size])
    assert root_at(size, node_at) == root
    for index in range(size):
        check_inclusion(LEAVES[index], index, size, inclusion_proof(index, size, node_at), root)
    for old in range(size + 1):
        check_consistency(old, size, bytes.fromhex(ROOTS[old]), root, consistency_proof(old, size, node_at))


@given(trees, st.data())
def test_proofs_are_those_of_the_recursion_and_check(leaves: list[bytes], data: st.DataObject) -> None:
    size, node_at, root = len(leaves), nodes_of(leaves), root_of(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, node_at)
    assert proof == path(index, leaves)
    check_inclusion(leaves[index], index, size, proof, root)
    steps = inclusion_steps(leaves[index], index, size, proof)
    assert [step.sibling for step in steps] == proof
    assert [step.level for step in steps] == sorted({step.level for step in steps})
    old = data.draw(st.integers(1, size))
    consistency = consistency_proof(old, size, node_at)
    assert consistency == subproof(old, leaves, True)
    check_consistency(old, size, root_of(leaves[:old]), root, consistency)


@given(trees, st.data())
def test_a_run_of_leaves_leads_to_the_root_and_no_other_run_does(leaves: list[bytes], data: st.DataObject) -> None:
    size, root = len(leaves), root_of(leaves)
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size))
    proof = run_proof(start, stop, size, nodes_of(leaves))
    assert run_root(leaves[start:stop], start, size, proof) == root
    changed = list(leaves[start:stop])
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] = bytes(32) if changed[at] != bytes(32) else bytes(31) + b"1"
    assert run_root(changed, start, size, proof) != root
    for wrong in ([*proof, bytes(32)], proof[:-1]):
        if wrong != proof:
            with pytest.raises(BadProof):
                run_root(leaves[start:stop], start, size, wrong)


@given(trees, st.data())
def test_a_proof_that_was_changed_is_refused(leaves: list[bytes], data: st.DataObject) -> None:
    size, node_at, root = len(leaves), nodes_of(leaves), root_of(leaves)
    index = data.draw(st.integers(0, size - 1))
    leaf, proof = leaves[index], inclusion_proof(index, size, node_at)
    refused: list[tuple[bytes, int, int, list[bytes], bytes]] = [
        (leaf, index, size, [*proof, bytes(32)], root),
        (leaf, size, size, proof, root),
        (leaf, -1, size, proof, root),
        (leaf, index, 1 << 63, proof, root),
        (node_hash(leaf, leaf), index, size, proof, root),
        (leaf, index, size, proof, node_hash(root, root)),
        (leaf, index, 0, proof, root),
    ]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        refused += [
            (leaf, index, size, proof[:-1], root),
            (leaf, index, size, proof[1:], root),
            (leaf, index, size, [*proof[:at], node_hash(proof[at], leaf), *proof[at + 1 :]], root),
            (leaf, index, size, [*proof[:at], proof[at][:31], *proof[at + 1 :]], root),
        ]
    for arguments in refused:
        with pytest.raises(BadProof):
            check_inclusion(*arguments)


@given(trees, st.data())
def test_a_history_that_was_changed_is_not_consistent(leaves: list[bytes], data: st.DataObject) -> None:
    size, root = len(leaves), root_of(leaves)
    old = data.draw(st.integers(1, size))
    proof = consistency_proof(old, size, nodes_of(leaves))
    at = data.draw(st.integers(0, old - 1))
    other = [*leaves[:at], node_hash(leaves[at], leaves[at]), *leaves[at + 1 :]]
    with pytest.raises(BadProof):
        check_consistency(old, size, root_of(other[:old]), root, proof)
    with pytest.raises(BadProof):
        check_consistency(old, size, root_of(leaves[:old]), root_of(other), proof)
    with pytest.raises(BadProof):
        check_consistency(old, size, root_of(leaves[:old]), root, [*proof, bytes(32)])
    if proof:
        with pytest.raises(BadProof):
            check_consistency(old, size, root_of(leaves[:old]), root, proof[:-1])
    with pytest.raises(BadProof):
        check_consistency(size + 1, size, root, root, [])


def test_the_edges_of_consistency() -> None:
    check_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
    check_consistency(0, 3, EMPTY_ROOT, root_of(LEAVES[:3]), [])
    with pytest.raises(BadProof):
        check_consistency(0, 3, bytes(32), root_of(LEAVES[:3]), [])
    with pytest.raises(BadProof):
        check_consistency(0, 0, EMPTY_ROOT, bytes(32), [])
    with pytest.raises(BadProof):
        check_consistency(2, 3, root_of(LEAVES[:2]), root_of(LEAVES[:3]), [])
    for index, size in ((3, 3), (-1, 3), (0, 0)):
        with pytest.raises(ValueError, match="there is no leaf"):
            inclusion_proof(index, size, nodes_of(LEAVES[:3]))
    with pytest.raises(ValueError, match="does not extend"):
        consistency_proof(4, 3, nodes_of(LEAVES[:3]))
