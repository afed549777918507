import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format import mark
from blockdb.format.frame import BadFrame
from blockdb.format.mark import Mark
from tests.format.damage import shortened, taken

places = st.integers(1, 2**48 - 1)
marks = st.builds(
    Mark, st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16), places, places, st.booleans()
)
EXAMPLE = Mark(bytes(range(16)), bytes(range(16, 32)), 1234, 48, clean=False)


@given(marks)
def test_a_mark_comes_back(example: Mark) -> None:
    data = mark.encode(example)
    assert len(data) == mark.MARK_BYTES
    assert mark.decode(data) == example
    assert mark.read_written(data) == example.written


@pytest.mark.parametrize("clean", [False, True])
def test_every_changed_byte_is_noticed(clean: bool) -> None:
    assert taken(mark.decode, mark.encode(EXAMPLE._replace(clean=clean))) == []


def test_a_mark_of_another_length_is_refused() -> None:
    data = mark.encode(EXAMPLE)
    for other in (*shortened(data), data + b"\0"):
        with pytest.raises(BadFrame):
            mark.decode(other)


def test_what_another_process_reads_of_it_is_checked_too() -> None:
    data = mark.encode(EXAMPLE)
    head, word = data[: mark.WRITTEN_OFFSET], data[mark.WRITTEN_OFFSET : mark.FORCED_OFFSET]
    assert taken(lambda damaged: mark.read_written(head + damaged), word) == []
    for cut in shortened(data[: mark.FORCED_OFFSET]):
        with pytest.raises(BadFrame):
            mark.read_written(cut)


def test_a_place_is_one_aligned_word_so_that_it_is_never_seen_half_changed() -> None:
    data = memoryview(bytearray(mark.encode(EXAMPLE)))
    words = data.cast("Q")
    words[mark.WRITTEN_WORD] = 1300 * mark.GUARD
    words[mark.FORCED_WORD] = 1299 * mark.GUARD
    assert mark.decode(bytes(data)) == EXAMPLE._replace(written=1300, forced=1299)


def test_the_guard_lets_no_small_change_pass() -> None:
    """It is a prime of 16 bits: no multiple of it is a change of fewer adjacent bits than that."""
    assert all(mark.GUARD % divisor for divisor in range(2, 256))
    assert 2**15 < mark.GUARD < 2**16
    assert (2**48 - 1) * mark.GUARD < 2**64
