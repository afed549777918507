import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.format import intent
from blockdb.format.frame import BadFrame, TornFrame
from blockdb.format.intent import Digests, Intent, Part
from tests.format.damage import changed, shortened, taken

parts = st.lists(
    st.builds(
        Part,
        st.binary(min_size=16, max_size=16),
        st.integers(0, 2**63),
        st.integers(0, 2**32 - 1),
        st.binary(min_size=8, max_size=8),
        st.binary(min_size=16, max_size=16),
    ),
    max_size=3,
).map(tuple)
digests = st.binary(min_size=16, max_size=16)
INTENTS = [
    Intent(1, b"n" * 16, b"r" * 16, (Part(b"c" * 16, 7, 2, b"f" * 8, b"k" * 16),)),
    Intent(2, b"N" * 16, b"R" * 16, ()),
]


def log_of(*intents: Intent) -> bytes:
    return intent.encode_header(bytes(16)) + b"".join(map(intent.encode, intents))


@settings(max_examples=25)
@given(st.lists(st.builds(Intent, st.integers(0, 2**63), digests, digests, parts), max_size=4))
def test_what_was_intended_is_read_in_order(intents: list[Intent]) -> None:
    data = log_of(*intents)
    found = list(intent.walk(data))
    assert [each for each, _ in found] == intents
    assert [end for _, end in found][-1:] == [len(data)][: len(intents)]


def test_every_changed_byte_of_the_header_is_noticed() -> None:
    data = intent.encode_header(bytes(range(16)))
    assert taken(intent.decode_header, data) == []
    for cut in shortened(data):
        with pytest.raises(TornFrame):
            intent.decode_header(cut)


def test_no_changed_byte_becomes_another_intent() -> None:
    data = log_of(*INTENTS)
    for offset, damaged in changed(data, step=85):
        if offset >= intent.HEADER_BYTES:
            found = [each for each, _ in intent.walk(damaged)]
            assert found == INTENTS[: len(found)]
            assert len(found) < 2
        else:
            with pytest.raises(BadFrame):
                list(intent.walk(damaged))


def test_what_was_cut_leaves_those_before_it() -> None:
    data = log_of(*INTENTS)
    for cut in shortened(data):
        if len(cut) >= intent.HEADER_BYTES:
            found = [each for each, _ in intent.walk(cut)]
            assert found == INTENTS[: len(found)]


def test_digests_tell_lists_apart_and_need_the_secret() -> None:
    one = Digests(b"a" * 32)
    lists = [(), (b"",), (b"", b""), (b"ab",), (b"a", b"b"), (b"a", b"", b"b")]
    assert len({one.of(*each) for each in lists}) == len(lists)
    assert one.of(b"a") != Digests(b"b" * 32).of(b"a")
    assert one.part(bytes(16), 3, [b"a", b"b"])[2:] == (2, one.of(b"a")[:8], one.of(b"a", b"b"))
