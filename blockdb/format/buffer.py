"""What the codecs read from: a file that is mapped into memory, or plain bytes. Slices of both are bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from mmap import mmap

Buffer: TypeAlias = "bytes | mmap"
