from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format import checked_toml
from blockdb.format.frame import BadFrame
from tests.format.damage import shortened, taken

scalars = st.text(st.characters(codec="utf-8"), max_size=9) | st.integers(-(2**63), 2**63 - 1) | st.booleans()
values = st.dictionaries(st.text(min_size=1, max_size=9), scalars | st.lists(scalars, max_size=3), max_size=5)
EXAMPLE = checked_toml.encode({"format": 1, "name": "default", "tables": [1, 2], "replay": {"place": 48}})


@given(values)
def test_values_come_back(example: dict[str, object]) -> None:
    assert checked_toml.decode(checked_toml.encode(example)) == example


def test_every_changed_byte_is_noticed() -> None:
    assert taken(checked_toml.decode, EXAMPLE) == []


def test_what_was_cut_or_added_is_noticed() -> None:
    for data in (*shortened(EXAMPLE), EXAMPLE + b"\n", EXAMPLE + b"a = 1\n", b"\n" + EXAMPLE, EXAMPLE + EXAMPLE):
        with pytest.raises(BadFrame):
            checked_toml.decode(data)


@pytest.mark.parametrize("text", [b"no toml\n", b"\xff = 1\n", b"a = 1\na = 2\n"])
def test_a_good_checksum_does_not_make_it_toml(text: bytes) -> None:
    with pytest.raises(BadFrame, match="not TOML"):
        checked_toml.decode(text + b"# sha256 " + sha256(text).hexdigest().encode() + b"\n")
