"""The limits of every stored thing, in one place; all of them are enforced before a byte is written."""

from __future__ import annotations

from typing import Final

MAX_KEY_BYTES: Final = 65_535
"""A key has 1 to this many bytes (its length is stored in 16 bits)."""

MAX_VALUE_BYTES: Final = 64 * 1024 * 1024
"""A value has 0 to this many bytes."""

MAX_BATCH_RECORDS: Final = 1_000_000
MAX_BATCH_BYTES: Final = 256 * 1024 * 1024
"""What one atomic batch may hold: its records wait in memory until all of them are written."""

BLOCK_MAX_BYTES: Final = 8 * 1024 * 1024
"""A block closes with the record that brings its record bodies to this, however few records it has."""

MAX_BLOCK_RECORDS: Final = 1_000_000
"""The largest `blockchain_batch_size`."""

SEGMENT_SOFT_BYTES: Final = 256 * 1024 * 1024
"""A chain file takes no further commit once it has this many bytes."""

PACKED_SEGMENT_BYTES: Final = 64 * 1024 * 1024
"""The same where chain files are packed: that takes about a second then, and the whole fits in memory."""

SEALED_SEGMENT_BYTES: Final = 16 * 1024 * 1024
"""The same where they are encrypted: whoever opens the collection opens the newest one into memory."""

SEGMENT_MAX_BYTES: Final = (1 << 32) - 1
MAX_SEGMENTS: Final = 1 << 16
"""A place in the chain is 16 bits of segment and 32 bits of offset."""

TABLE_MAX_SLOTS: Final = (1 << 32) - 1
