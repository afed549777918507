"""Proofs over the Merkle tree: inclusion and consistency (RFC 6962 §2.1.1-2, RFC 9162 §2.1.3-4), and runs of leaves.

A proof is made from whatever knows the hashes of perfect subtrees (`NodeAt`) and checked with nothing but hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from blockdb.ledger.merkle import EMPTY_ROOT, node_hash

NodeAt = Callable[[int, int], bytes]
"""The hash of the perfect subtree over the leaves [index << level, (index + 1) << level), given level and index."""

MAX_SIZE: Final = 1 << 63
"""A tree has fewer leaves than this: a proof that claims more is refused before anything is computed."""


class BadProof(ValueError):
    """A proof does not prove what it is held against; the message says where it fails."""


class Span(NamedTuple):
    """The leaves from `start` on and before `stop`."""

    start: int
    stop: int


class Step(NamedTuple):
    """One step from a leaf to the root: the sibling, on which side it stands, and the hash over both."""

    level: int
    side: str
    sibling: bytes
    result: bytes


def inclusion_spans(index: int, size: int) -> list[Span]:
    """The subtrees that PATH(index, D[size]) names, from the leaf to the root. O(log size). Raises ValueError."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    spans: list[Span] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            spans.append(Span(middle, stop))
            stop = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(old_size: int, size: int) -> list[Span]:
    """The subtrees that PROOF(old_size, D[size]) names, in its order. O(log size). Raises ValueError."""
    if not 0 <= old_size <= size:
        raise ValueError(f"a tree of {size} leaves does not extend one of {old_size}")
    spans: list[Span] = []
    start, stop = 0, size
    while old_size and old_size != stop:
        middle = start + _split(stop - start)
        if old_size <= middle:
            spans.append(Span(middle, stop))
            stop = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    if start:
        spans.append(Span(start, stop))
    return spans[::-1]


def outside_spans(start: int, stop: int, size: int) -> list[Span]:
    """The largest subtrees of a tree that have none of the leaves [start, stop), from left to right. O(log size)."""
    return [Span(*span) for span, inside in _cover(start, stop, 0, size) if not inside]


def _cover(start: int, stop: int, first: int, end: int) -> Iterator[tuple[tuple[int, int], bool]]:
    if end <= start or stop <= first:
        yield (first, end), False
    elif start <= first and end <= stop:
        yield (first, end), True
    else:
        middle = first + _split(end - first)
        yield from _cover(start, stop, first, middle)
        yield from _cover(start, stop, middle, end)


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def span_root(span: Span, node_at: NodeAt) -> bytes:
    """The root over the leaves of a span that is a subtree of its tree. O(log n) nodes."""
    result: bytes | None = None
    size, at = span.stop - span.start, span.stop
    for level in range(size.bit_length()):
        if size >> level & 1:
            at -= 1 << level
            node = node_at(level, at >> level)
            result = node if result is None else node_hash(node, result)
    return EMPTY_ROOT if result is None else result


def root_at(size: int, node_at: NodeAt) -> bytes:
    """The root of the tree of the first `size` leaves. O(log size) nodes."""
    return span_root(Span(0, size), node_at)


def inclusion_proof(index: int, size: int, node_at: NodeAt) -> list[bytes]:
    """PATH(index, D[size]): the siblings from the leaf to the root. O(log size) nodes. Raises ValueError."""
    return [span_root(span, node_at) for span in inclusion_spans(index, size)]


def consistency_proof(old_size: int, size: int, node_at: NodeAt) -> list[bytes]:
    """PROOF(old_size, D[size]). O(log size) nodes. Raises ValueError."""
    return [span_root(span, node_at) for span in consistency_spans(old_size, size)]


def run_proof(start: int, stop: int, size: int, node_at: NodeAt) -> list[bytes]:
    """What has to be known beside the leaves [start, stop) to compute the root: O(log size) hashes."""
    return [span_root(span, node_at) for span in outside_spans(start, stop, size)]


def inclusion_steps(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> list[Step]:
    """Every step from a leaf hash to the root (RFC 9162 §2.1.3.2). O(log size).

    The last result is the root; with no step, the leaf is. Raises BadProof where the proof has not the length or the
    shape that the tree gives it.
    """
    if not 0 <= index < size < MAX_SIZE:
        raise BadProof(f"the record's index {index} is not in a tree of {size}")
    fn, sn, result, level = index, size - 1, leaf, 0
    steps: list[Step] = []
    for sibling in _hashes(proof):
        if sn == 0:
            raise BadProof("the inclusion proof is too long")
        is_left = bool(fn & 1) or fn == sn
        if is_left:
            result = node_hash(sibling, result)
            while not fn & 1 and fn:
                fn, sn, level = fn >> 1, sn >> 1, level + 1
        else:
            result = node_hash(result, sibling)
        steps.append(Step(level, "left" if is_left else "right", sibling, result))
        fn, sn, level = fn >> 1, sn >> 1, level + 1
    if sn:
        raise BadProof("the inclusion proof is too short")
    return steps


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf hash is in a tree, at an index. O(log size). Raises BadProof."""
    steps = inclusion_steps(leaf, index, size, proof)
    if (steps[-1].result if steps else leaf) != root:
        raise BadProof("the inclusion proof does not lead from the record to the root")


def check_consistency(old_size: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that a tree extends an older one (RFC 9162 §2.1.4.2). O(log size). Raises BadProof."""
    if not 0 <= old_size <= size < MAX_SIZE:
        raise BadProof(f"a tree of {size} records does not extend one of {old_size}")
    hashes = list(_hashes(proof))
    if old_size in (0, size):
        if hashes:
            raise BadProof("the consistency proof should be empty")
        expected = root if old_size else EMPTY_ROOT
        if old_root != expected or (not size and root != EMPTY_ROOT):
            raise BadProof("the two roots are not those of trees of these sizes")
        return
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        raise BadProof("the consistency proof is too short")
    fn, sn = old_size - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old_result = result = hashes[0]
    for node in hashes[1:]:
        if sn == 0:
            raise BadProof("the consistency proof is too long")
        if fn & 1 or fn == sn:
            old_result, result = node_hash(node, old_result), node_hash(node, result)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            result = node_hash(result, node)
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise BadProof("the consistency proof is too short")
    if old_result != old_root:
        raise BadProof("the consistency proof does not lead to the older root: the history was changed")
    if result != root:
        raise BadProof("the consistency proof does not lead to the newer root")


def run_root(leaves: Sequence[bytes], start: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root of a tree of `size` leaves of which those from `start` on are known, and what `run_proof` gave.

    O(len(leaves) + log size). Raises BadProof where the proof has not the length that the tree gives it.
    """
    stop = start + len(leaves)
    if not 0 <= start < stop <= size < MAX_SIZE:
        raise BadProof(f"the records from {start} to {stop} are not in a tree of {size}")
    others = _hashes(proof)

    def root(first: int, end: int) -> bytes:
        if end <= start or stop <= first:
            node = next(others, None)
            if node is None:
                raise BadProof("the proof is too short")
            return node
        if end - first == 1:
            return leaves[first - start]
        middle = first + _split(end - first)
        return node_hash(root(first, middle), root(middle, end))

    result = root(0, size)
    if next(others, None) is not None:
        raise BadProof("the proof is too long")
    return result


def _hashes(proof: Sequence[bytes]) -> Iterator[bytes]:
    for number, node in enumerate(proof, 1):
        if len(node) != 32:
            raise BadProof(f"hash {number} of the proof has {len(node)} bytes instead of 32")
        yield node
