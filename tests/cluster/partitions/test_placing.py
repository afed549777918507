"""Where partitions are placed: copies on different nodes, evenly, and little that moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.cluster.partitions.creating import replicas_for
from blockdb.cluster.partitions.placing import Move, loads_of, moves, place

NODES = [f"n{number}" for number in range(1, 10)]
some_nodes = st.lists(st.sampled_from(NODES), min_size=1, max_size=9, unique=True)


def names(count: int, collection: str = "c") -> list[str]:
    return [f"{collection}-{number}" for number in range(count)]


def even(loads: Mapping[str, int]) -> bool:
    return max(loads.values()) - min(loads.values()) <= 1


def carried_out(placement: Mapping[str, Sequence[str]], steps: Sequence[Move]) -> dict[str, set[str]]:
    after = {name: set(held) for name, held in placement.items()}
    for name, add, remove in steps:
        assert remove == "" or remove in after[name]
        assert add not in after[name]
        after[name] = (after[name] | ({add} - {""})) - {remove}
    return after


@settings(max_examples=25)
@given(some_nodes, st.integers(0, 40), st.integers(1, 5))
def test_new_ones_have_their_copies_on_different_nodes_evenly(nodes: list[str], count: int, copies: int) -> None:
    placed = place(names(count), copies, dict.fromkeys(nodes, 0))
    assert sorted(placed) == sorted(names(count))
    for held in placed.values():
        assert len(held) == len(set(held)) == min(copies, len(nodes))
        assert set(held) <= set(nodes)
    assert even(loads_of(placed, nodes))
    assert placed == place(reversed(names(count)), copies, dict.fromkeys(reversed(nodes), 0))


@settings(max_examples=25)
@given(st.dictionaries(st.sampled_from(NODES), st.integers(0, 20), min_size=2), st.integers(1, 30), st.integers(1, 3))
def test_new_ones_go_where_there_is_least(loads: dict[str, int], count: int, copies: int) -> None:
    placed = place(names(count), copies, loads)
    added = loads_of(placed, loads)
    after = {node: loads[node] + added[node] for node in loads}
    for held in placed.values():
        for node in held:
            assert not [other for other in set(loads) - set(held) if after[other] < after[node] - 1]


@settings(max_examples=25)
@given(some_nodes, st.sets(st.sampled_from(NODES)), st.integers(1, 20), st.integers(1, 4))
def test_the_dead_are_taken_only_where_the_living_do_not_suffice(
    nodes: list[str], dead: set[str], count: int, copies: int
) -> None:
    placed = place(names(count), copies, dict.fromkeys(nodes, 0), dead)
    living = set(nodes) - dead
    for held in placed.values():
        assert len(set(held) & living) == min(len(living), copies, len(nodes))


@settings(max_examples=25)
@given(some_nodes, some_nodes, st.integers(0, 30), st.integers(1, 4))
def test_what_moves_ends_even_and_whole_and_nothing_moves_then(
    before: list[str], after: list[str], count: int, copies: int
) -> None:
    placed = place(names(count), copies, dict.fromkeys(before, 0))
    wanted = dict.fromkeys(placed, copies)
    steps = moves(placed, wanted, after)
    then = carried_out(placed, steps)
    for held in then.values():
        assert len(held) == min(copies, len(after))
        assert held <= set(after)
    assert even(loads_of(then, after))
    assert moves({name: sorted(held) for name, held in then.items()}, wanted, after) == []


@settings(max_examples=25)
@given(st.integers(2, 8), st.integers(1, 40), st.integers(1, 3))
def test_a_node_that_is_added_gets_its_share_and_nothing_else_moves(count: int, partitions: int, copies: int) -> None:
    old, new = NODES[:count], NODES[count]
    placed = place(names(partitions), copies, dict.fromkeys(old, 0))
    steps = moves(placed, dict.fromkeys(placed, min(copies, count)), [*old, new])
    assert {step.add for step in steps} <= {new}
    assert len(steps) <= ceil(partitions * min(copies, count) / (count + 1))


@settings(max_examples=25)
@given(st.integers(4, 9), st.integers(1, 40), st.integers(1, 3))
def test_of_a_node_that_leaves_hardly_more_moves_than_it_had(count: int, partitions: int, copies: int) -> None:
    nodes = NODES[:count]
    placed = place(names(partitions), copies, dict.fromkeys(nodes, 0))
    gone = nodes[0]
    steps = moves(placed, dict.fromkeys(placed, copies), nodes[1:])
    assert len([step for step in steps if step.remove == gone]) == loads_of(placed, nodes)[gone]
    assert len([step for step in steps if step.remove != gone]) <= 2


def test_copies_come_and_go_with_the_nodes() -> None:
    one = place(["p"], 3, {"n1": 0})
    assert one == {"p": ("n1",)}
    assert moves(one, {"p": 3}, ["n1", "n2", "n3"]) == [Move("p", "n2", ""), Move("p", "n3", "")]
    assert moves({"p": ("n1", "n2", "n3")}, {"p": 3}, ["n1", "n2"]) == [Move("p", "", "n3")]
    assert [str(step) for step in (Move("p", "a", "b"), Move("p", "a", ""), Move("p", "", "b"))] == [
        "p from b to a",
        "p to a",
        "p from b",
    ]
    for nodes in ([], {}):
        with pytest.raises(ValueError, match="no node"):
            moves({}, {}, nodes)
    with pytest.raises(ValueError, match="no node"):
        place(["p"], 1, {})


def test_logs_are_kept_on_an_odd_number_of_machines() -> None:
    assert [replicas_for(copies, 5) for copies in (1, 2, 3, 4, 5)] == [1, 3, 3, 5, 5]
    assert replicas_for(2, 2) == 2


def test_nothing_moves_to_the_dead_who_keep_what_they_have() -> None:
    placed = {"p": ("n1", "n3"), "q": ("n2", "n4")}
    wanted = dict.fromkeys(placed, 2)
    assert moves(placed, wanted, ["n1", "n2", "n4"], shunned=["n4"]) == [Move("p", "n2", "n3")]
    assert moves({"p": ("n1", "n3")}, {"p": 2}, ["n1", "n4"], shunned=["n4"]) == [Move("p", "n4", "n3")]
