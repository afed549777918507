"""Which partition has a key, and how numbers are called, both ways."""

from hypothesis import given
from hypothesis import strategies as st

from blockdb.cluster.partitions.spreading import Spreading

counts = st.sampled_from([1, 2, 3, 8, 1024])
numbers = st.integers(0, 2**62)


def test_the_partition_of_a_key_never_changes() -> None:
    assert [Spreading(8).of_key(key) for key in (b"a", b"b", b"user:1", b"\xff\0")] == [7, 7, 1, 7]
    assert Spreading(1).of_key(b"a") == 0


@given(counts, numbers)
def test_numbers_go_both_ways(count: int, number: int) -> None:
    spreading = Spreading(count)
    own, partition = spreading.parted(number)
    assert spreading.number(own, partition) == number
    assert 0 <= partition < count


@given(counts, st.integers(0, 5_000))
def test_borders_are_where_they_should_be(count: int, number: int) -> None:
    spreading = Spreading(count)
    for partition in {0, count // 2, count - 1}:
        first, last = spreading.first_from(number, partition), spreading.last_to(number, partition)
        assert spreading.number(first, partition) >= number
        assert first == 0 or spreading.number(first - 1, partition) < number
        assert spreading.number(last + 1, partition) > number
        assert last == -1 or spreading.number(last, partition) <= number
