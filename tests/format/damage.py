"""Damaging encoded bytes in every small way."""

from collections.abc import Callable, Iterator

from blockdb.format.frame import BadFrame


def changed(data: bytes, step: int = 1) -> Iterator[tuple[int, bytes]]:
    """`data` with one byte changed, each byte to each other value (or each `step`th), and the offset of the change."""
    for offset, byte in enumerate(data):
        for other in range(0, 256, step):
            if other != byte:
                yield offset, data[:offset] + bytes((other,)) + data[offset + 1 :]


def shortened(data: bytes) -> Iterator[bytes]:
    """Every beginning of `data` that is shorter than it."""
    for stop in range(len(data)):
        yield data[:stop]


def taken(decode: Callable[[bytes], object], data: bytes) -> list[int]:
    """At which bytes of `data` a change is decoded instead of refused; there should be none."""
    offsets = []
    for offset, damaged in changed(data):
        try:
            decode(damaged)
        except BadFrame:
            continue
        offsets.append(offset)
    return offsets
