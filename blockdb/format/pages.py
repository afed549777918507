"""Files of tables and indexes: a header, sections in pages, a check for each page.

    header (256, ends with its check) | sections | page checks

A reader checks exactly the pages that it touches. The pages of docs/formats/ that say more are table.md and index.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from xxhash import xxh3_64_digest

from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame, TornFrame

HEADER_BYTES: Final = 256
PAGE_BYTES: Final = 4096
CHECK_BYTES: Final = 8
MAGIC_BYTES: Final = 16


class Paged(Protocol):
    """A header, as far as the pages of its file are concerned."""

    @property
    def checks(self) -> int:
        """The check of the page checks, as a number."""

    @property
    def checks_offset(self) -> int:
        """Where the page checks begin: the sections lie between the header and them."""


def pages_of(header: Paged) -> int:
    """How many pages the sections fill, the last one perhaps in part."""
    return -(-(header.checks_offset - HEADER_BYTES) // PAGE_BYTES)


def file_bytes(header: Paged) -> int:
    """The size of the whole file."""
    return header.checks_offset + pages_of(header) * CHECK_BYTES


def page_checks(sections: bytes) -> bytes:
    """The check of each page of `sections` (all bytes between header and checks)."""
    pages = (sections[start : start + PAGE_BYTES] for start in range(0, len(sections), PAGE_BYTES))
    return b"".join([xxh3_64_digest(page) for page in pages])


def check_of(checks: bytes) -> int:
    """The check of the page checks, as it stands in the header."""
    return int.from_bytes(xxh3_64_digest(checks))


def seal_header(packed: bytes) -> bytes:
    """The header with its check."""
    head = packed.ljust(HEADER_BYTES - CHECK_BYTES, b"\0")
    return head + xxh3_64_digest(head)


def open_header(buffer: Buffer, magic: bytes, what: str) -> bytes:
    """The header without its check. Raises TornFrame or BadFrame; `what` is what the file is called there."""
    if len(buffer) < HEADER_BYTES:
        raise TornFrame("the file is shorter than its header")
    head = buffer[: HEADER_BYTES - CHECK_BYTES]
    if head[:MAGIC_BYTES] != magic or buffer[len(head) : HEADER_BYTES] != xxh3_64_digest(head):
        raise BadFrame(f"the header of the {what} is damaged, or of an unknown version")
    return head


def check_checks(buffer: Buffer, header: Paged, what: str) -> None:
    """Whether the file has its size and its page checks are intact. Raises TornFrame or BadFrame."""
    if len(buffer) != file_bytes(header):
        raise TornFrame(f"the {what} has {len(buffer)} bytes and should have {file_bytes(header)}")
    if check_of(buffer[header.checks_offset :]) != header.checks:
        raise BadFrame(f"the page checks of the {what} are damaged")


def bad_pages(buffer: Buffer, header: Paged) -> Iterator[int]:
    """The numbers of the pages that do not match their checks."""
    for page in range(pages_of(header)):
        if not is_page_intact(buffer, header, page):
            yield page


def is_page_intact(buffer: Buffer, header: Paged, page: int) -> bool:
    """Whether a page of the sections matches its check."""
    start = HEADER_BYTES + page * PAGE_BYTES
    at = header.checks_offset + page * CHECK_BYTES
    return (
        xxh3_64_digest(buffer[start : min(start + PAGE_BYTES, header.checks_offset)]) == buffer[at : at + CHECK_BYTES]
    )
