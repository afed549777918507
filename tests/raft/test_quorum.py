"""Majorities, against counting them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.raft import quorum
from blockdb.raft.quorum import Outcome

VOTERS = st.lists(st.sampled_from("abcdefg"), unique=True)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 20), max_size=9))
def test_reached_is_the_highest_mark_of_a_majority(marks: list[int]) -> None:
    def has_majority(mark: int) -> bool:
        return 2 * sum(each >= mark for each in marks) > len(marks)

    assert quorum.reached(marks) == max((mark for mark in range(21) if has_majority(mark)), default=0)


@settings(max_examples=30)
@given(VOTERS, st.dictionaries(st.sampled_from("abcdefgxyz"), st.booleans()))
def test_the_outcome_of_an_election_is_certain_once_it_is_told(voters: list[str], votes: dict[str, bool]) -> None:
    yes = sum(votes.get(voter) is True for voter in voters)
    open_ = sum(voter not in votes for voter in voters)
    can_win = 2 * (yes + open_) > len(voters)
    expected = Outcome.WON if 2 * yes > len(voters) else Outcome.OPEN if can_win else Outcome.LOST
    assert quorum.outcome(voters, votes) is expected


@settings(max_examples=30)
@given(VOTERS, st.sets(st.sampled_from("abcdefgxyz")))
def test_two_majorities_have_a_voter_in_common(voters: list[str], chosen: set[str]) -> None:
    others = set("abcdefgxyz") - chosen
    assert not (quorum.has_majority(voters, chosen) and quorum.has_majority(voters, others))
    assert quorum.has_majority(voters, chosen) == (2 * len(chosen & set(voters)) > len(voters))


def test_nobody_is_no_majority_of_nobody() -> None:
    assert quorum.reached([]) == 0
    assert quorum.outcome([], {"a": True}) is Outcome.LOST
    assert not quorum.has_majority([], {"a"})
