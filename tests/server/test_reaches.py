"""What ranges are known to begin with, and whether that lets somebody out of their prefix: against every key."""

from __future__ import annotations

from itertools import product

from blockdb.errors import Forbidden
from blockdb.security.roles import Principal, Reach, Right, Role, authorize
from blockdb.wire.messages.records import Range
from blockdb.wire.reaching import of_range

BYTES = (0xFD, 0xFE, 0xFF)
"""Few keys, near the end of what a byte can be, so that much collides."""
SHORT = [bytes(key) for length in range(3) for key in product(BYTES, repeat=length)]
PREFIXES = SHORT[1:]
KEYS = [bytes(key) for length in range(1, 4) for key in product((0xFC, *BYTES), repeat=length)]


def may(prefix: bytes, reach: Reach | None) -> bool:
    assert reach is not None
    try:
        authorize(Principal("a", Role.READER, None, prefix), Right.READ, reach)
    except Forbidden:
        return False
    return True


def test_no_range_leads_out_of_a_prefix() -> None:
    for prefix, start, end in product((None, *PREFIXES), (None, *SHORT), (None, *SHORT)):
        keys = [
            key
            for key in KEYS
            if key.startswith(prefix or b"") and key >= (start or b"") and (end is None or key < end)
        ]
        reach = of_range(Range(prefix=prefix, start=start, end=end))
        assert all(key.startswith(allowed) for allowed in PREFIXES if may(allowed, reach) for key in keys)


def test_a_range_within_a_prefix_is_allowed() -> None:
    for allowed, behind, last in product(PREFIXES, SHORT, SHORT):
        start, end = allowed + behind, allowed + last
        assert may(allowed, of_range(Range(prefix=allowed)))
        if start < end:
            assert may(allowed, of_range(Range(start=start, end=end))) or allowed[-1] == 0xFF


def test_long_keys_take_no_time() -> None:
    """Each length would be a copy."""
    for start, end in ((b"\xfe" * 65_535, b"\xff"), (b"a" * 65_535, b"b" * 65_535), (b"a" * 65_534, b"a" * 65_535)):
        of_range(Range(start=start, end=end))
