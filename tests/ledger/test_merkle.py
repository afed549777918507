"""The Merkle tree, against the public vectors of RFC 6962 and against its recursion."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb import merkle_levels
from blockdb.ledger.merkle import EMPTY_ROOT, Frontier, leaf_hash, levels, node_hash, root_of
from tests.ledger import reference

LEAVES = [
    leaf_hash(bytes.fromhex(data))
    for data in ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

hashes = st.binary(min_size=32, max_size=32)
trees = st.lists(hashes, max_size=40)


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_the_public_vectors(size: int) -> None:
    expected = bytes.fromhex(ROOTS[size])
    assert root_of(LEAVES[:size]) == expected
    assert reference.root(LEAVES[:size]) == expected  # the reference is held against them too
    frontier = Frontier()
    frontier.extend(LEAVES[:size])
    assert frontier.root() == expected


def test_the_tree_of_seven_leaves_has_the_shape_of_the_standard() -> None:
    """RFC 6962 §2.1.3: nodes g to l over leaves a, b, c, d, e, f, j; the odd leaf j is carried up, never doubled."""
    a, b, c, d, e, f, j = LEAVES[:7]
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, l = node_hash(g, h), node_hash(i, j)  # noqa: E741  # the letters of the standard
    assert levels(LEAVES[:7]) == [[a, b, c, d, e, f, j], [g, h, i, j], [k, l], [node_hash(k, l)]]


def test_leaves_and_nodes_cannot_be_mistaken_for_each_other() -> None:
    left, right = LEAVES[1:3]
    assert leaf_hash(left + right) != node_hash(left, right)
    assert node_hash(left, right) != node_hash(right, left)
    assert node_hash(left, right) == reference.node(left, right)


def test_one_leaf_is_its_own_root_and_two_equal_leaves_are_not_one() -> None:
    one = LEAVES[1]
    assert root_of([one]) == one
    assert root_of([one, one, one]) != root_of([one, one, one, one])


@given(trees)
def test_the_root_is_that_of_the_recursion(leaves: list[bytes]) -> None:
    assert root_of(leaves) == reference.root(leaves)


@given(trees.filter(bool))
def test_levels_go_from_the_leaves_to_one_root(leaves: list[bytes]) -> None:
    found = levels(leaves)
    assert found == merkle_levels(leaves)
    assert found[0] == leaves
    assert [len(level) for level in found[1:]] == [(len(level) + 1) // 2 for level in found[:-1]]
    assert len(found[-1]) == 1
    for lower, upper in pairwise(found):
        for number, parent in enumerate(upper):
            pair = lower[2 * number : 2 * number + 2]
            assert parent == (node_hash(*pair) if len(pair) == 2 else pair[0])


def test_the_levels_of_no_leaves_are_the_empty_root() -> None:
    assert levels([]) == [[EMPTY_ROOT]]


@given(trees, st.data())
def test_a_frontier_is_the_same_however_it_grew(leaves: list[bytes], data: st.DataObject) -> None:
    frontier, done = Frontier(), 0
    while done < len(leaves):
        step = data.draw(st.integers(1, len(leaves) - done))
        frontier.extend(leaves[done : done + step])
        done += step
        assert frontier.size == done
        assert frontier.root() == root_of(leaves[:done])
        assert len(frontier.hashes) == done.bit_count()
    frontier.extend([])
    assert frontier.root() == root_of(leaves)


@given(trees, trees)
def test_a_frontier_goes_on_from_its_size_and_hashes(before: list[bytes], after: list[bytes]) -> None:
    grown = Frontier()
    grown.extend(before)
    taken_up = Frontier(grown.size, grown.hashes)
    copy = grown.copy()
    taken_up.extend(after)
    copy.extend(after)
    assert taken_up.root() == copy.root() == root_of(before + after)
    assert grown.root() == root_of(before), "a copy is independent"


def test_the_subtrees_of_a_frontier_are_perfect_and_the_largest_comes_first() -> None:
    frontier = Frontier()
    frontier.extend(LEAVES[:7])
    assert frontier.hashes == (root_of(LEAVES[:4]), root_of(LEAVES[4:6]), LEAVES[6])


@pytest.mark.parametrize(("size", "count"), [(0, 1), (1, 0), (6, 1), (7, 2), (8, 2)])
def test_a_frontier_needs_a_subtree_for_each_bit_of_its_size(size: int, count: int) -> None:
    with pytest.raises(ValueError, match="perfect subtrees"):
        Frontier(size, LEAVES[:count])
