"""What the codecs read from: a file that is mapped into memory, or plain bytes. Slices of both are bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from mmap import mmap

Buffer: TypeAlias = "bytes | mmap"


class Slices(Protocol):
    """What gives bytes by slices alone: a buffer does, and a sealed file that is opened a page at a time."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...
