import random

from hypothesis import given
from hypothesis import strategies as st

from blockdb.lsm.bloom import FALSE_POSITIVES, filter_of, key_hash, load, save

hashes = st.sets(st.integers(0, 2**64 - 1), max_size=200)


@given(hashes)
def test_what_is_in_it_is_never_denied_also_after_saving(members: set[int]) -> None:
    made = filter_of(members, len(members))
    for bloom in (made, load(save(made))):
        assert all(member in bloom for member in members)


def test_what_is_not_in_it_is_mostly_denied() -> None:
    chance = random.Random(1)
    members = [chance.getrandbits(64) for _ in range(5_000)]
    bloom = filter_of(members, len(members))
    wrong = sum(chance.getrandbits(64) in bloom for _ in range(20_000))
    assert wrong / 20_000 < 2 * FALSE_POSITIVES
    assert len(save(bloom)) < 2 * len(members), "about ten bits for each"


def test_the_hash_of_a_key_is_the_same_in_every_process() -> None:
    """XXH3-64 with seed 0, as its specification gives it; tables on disk depend on it."""
    assert key_hash(b"") == 0x2D06800538D394C2
    assert key_hash(b"user:1001") == key_hash(bytes(bytearray(b"user:1001")))
