"""What ranges are known to begin with, and whether that lets somebody out of their prefix: against every key."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from blockdb.errors import Forbidden
from blockdb.security.roles import Principal, Reach, Right, Role, authorize
from blockdb.wire.messages.records import Range
from blockdb.wire.reaching import of_range

SHORT = st.binary(max_size=3).map(lambda data: bytes(byte % 3 + 0xFD for byte in data))
"""Few keys, near the end of what a byte can be, so that much collides."""
KEYS = [bytes(key) for length in range(1, 5) for key in product(range(0xFC, 0x100), repeat=length)]


def may(prefix: bytes, reach: Reach | None) -> bool:
    assert reach is not None
    try:
        authorize(Principal("a", Role.READER, None, prefix), Right.READ, reach)
    except Forbidden:
        return False
    return True


@given(st.none() | SHORT, st.none() | SHORT, st.none() | SHORT, SHORT.filter(bool))
def test_no_range_leads_out_of_a_prefix(
    prefix: bytes | None, start: bytes | None, end: bytes | None, allowed: bytes
) -> None:
    keys = [
        key
        for key in KEYS
        if key.startswith(prefix or b"") and (start is None or key >= start) and (end is None or key < end)
    ]
    if may(allowed, of_range(Range(prefix=prefix, start=start, end=end))):
        assert all(key.startswith(allowed) for key in keys)


@given(SHORT.filter(bool), SHORT, SHORT)
def test_a_range_within_a_prefix_is_allowed(allowed: bytes, behind: bytes, end: bytes) -> None:
    start, end = allowed + behind, allowed + end
    assert may(allowed, of_range(Range(prefix=allowed)))
    if start < end:
        assert may(allowed, of_range(Range(start=start, end=end))) or allowed[-1] == 0xFF


def test_long_keys_take_no_time() -> None:
    """Each length would be a copy."""
    for start, end in ((b"\xfe" * 65_535, b"\xff"), (b"a" * 65_535, b"b" * 65_535), (b"a" * 65_534, b"a" * 65_535)):
        of_range(Range(start=start, end=end))
