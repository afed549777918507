"""Sealed files: what they hold comes back whole, and nothing opens anywhere but where it was sealed."""

from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format import sealed
from blockdb.format.frame import BadFrame, TornFrame
from blockdb.format.keyring import DataKeys
from blockdb.format.sealed import HEADER_BYTES, PAGE_BYTES, Binding, Kind, Pages, Pieces, binding_of

ONE, TWO, OTHER = b"key one.", b"key two.", b"another."
KEYS = DataKeys([(ONE, bytes(32)), (TWO, bytes(31) + b"1")], TWO)
COLLECTION = UUID(int=7).bytes
TABLE = Binding(Kind.TABLE, COLLECTION, 3)
CHAIN = Binding(Kind.CHAIN, COLLECTION, 3)
FILE_ID = bytes(range(16))
CONTENT = bytes(range(256)) * 200
"""Four pages, the last of them not full."""


def pieces_of(*contents: bytes, file_id: bytes = FILE_ID, first_nonce: int = 0) -> list[bytes]:
    """The header of a file that grew, and its pieces."""
    head = sealed.new_header(CHAIN, KEYS, 0, file_id)
    writer, made = Pieces(head, CHAIN, KEYS), [head]
    for number, content in enumerate(contents, first_nonce):
        made.append(writer.seal(content, number.to_bytes(24, "big")))
        writer.went_on(made[-1])
    return made


def opened(*parts: bytes) -> list[bytes | int]:
    data = b"".join(parts)
    return list(Pieces(data, CHAIN, KEYS).open(data))


# ── written once ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [0, 1, PAGE_BYTES - 1, PAGE_BYTES, PAGE_BYTES + 1, 3 * PAGE_BYTES + 5])
def test_what_was_sealed_is_opened(size: int) -> None:
    content = (CONTENT * 2)[:size]
    data = sealed.seal(content, TABLE, KEYS, FILE_ID)
    assert len(data) == sealed.file_bytes(size)
    assert sealed.open_file(data, TABLE, KEYS) == sealed.salvage(data, TABLE, KEYS) == content
    assert sealed.is_sealed(data)


@given(st.integers(0, 60_000), st.integers(0, 60_000))
def test_slices_are_those_of_the_content(start: int, stop: int) -> None:
    pages = Pages(sealed.seal(CONTENT, TABLE, KEYS, FILE_ID), TABLE, KEYS)
    assert pages[start:stop] == CONTENT[start:stop]
    assert (len(pages), pages[-9:]) == (len(CONTENT), CONTENT[-9:])


def test_every_byte_is_covered() -> None:
    data = sealed.seal(b"secret", TABLE, KEYS, FILE_ID)
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(BadFrame):
            sealed.open_file(changed, TABLE, KEYS)
    for size in range(len(data)):
        with pytest.raises(BadFrame):
            sealed.open_file(data[:size], TABLE, KEYS)


@pytest.mark.parametrize(
    "binding",
    [Binding(Kind.PACKED, COLLECTION, 3), Binding(Kind.TABLE, bytes(16), 3), Binding(Kind.TABLE, COLLECTION, 4)],
)
def test_a_file_opens_as_no_other(binding: Binding) -> None:
    with pytest.raises(BadFrame, match="belongs elsewhere"):
        Pages(sealed.seal(CONTENT, TABLE, KEYS, FILE_ID), binding, KEYS)


def test_a_header_made_for_another_place_does_not_help() -> None:
    """Whoever can compute checks can write any header; the pages do not open with it."""
    data = sealed.seal(CONTENT, TABLE, KEYS, FILE_ID)
    other = Binding(Kind.TABLE, COLLECTION, 4)
    forged = sealed.new_header(other, KEYS, len(CONTENT), FILE_ID) + data[HEADER_BYTES:]
    with pytest.raises(BadFrame, match="page 0 of the sealed file was changed"):
        sealed.open_file(forged, other, KEYS)


def test_pages_that_were_exchanged_do_not_open() -> None:
    data = sealed.seal(CONTENT, TABLE, KEYS, FILE_ID)
    older = sealed.seal(CONTENT, TABLE, KEYS, bytes(16))
    first, second, *rest = pages_of(data)
    for changed in ([second, first, *rest], [first, first, *rest], [pages_of(older)[0], second, *rest]):
        with pytest.raises(BadFrame):
            sealed.open_file(b"".join([data[:HEADER_BYTES], *changed]), TABLE, KEYS)


def pages_of(data: bytes) -> list[bytes]:
    step = PAGE_BYTES + sealed.TAG_BYTES
    return [data[start : start + step] for start in range(HEADER_BYTES, len(data), step)]


def test_each_file_names_its_key() -> None:
    data = sealed.seal(CONTENT, TABLE, DataKeys([(ONE, bytes(32))], ONE), FILE_ID)
    assert sealed.open_file(data, TABLE, KEYS) == CONTENT
    with pytest.raises(BadFrame, match=f"data key {ONE.hex()}, which the database does not have"):
        Pages(data, TABLE, DataKeys([(OTHER, bytes(32))], OTHER))
    with pytest.raises(BadFrame):
        sealed.open_file(data, TABLE, DataKeys([(ONE, b"1" * 32)], ONE))


def test_of_a_damaged_file_the_other_pages_can_be_had() -> None:
    data = bytearray(sealed.seal(CONTENT, TABLE, KEYS, FILE_ID))
    data[HEADER_BYTES + PAGE_BYTES + 100] ^= 1
    lost = slice(PAGE_BYTES, 2 * PAGE_BYTES)
    salvaged = sealed.salvage(bytes(data), TABLE, KEYS)
    assert salvaged == CONTENT[: lost.start] + bytes(PAGE_BYTES) + CONTENT[lost.stop :]
    shorter = salvaged[: 3 * PAGE_BYTES] + bytes(len(CONTENT) % PAGE_BYTES)
    assert sealed.salvage(bytes(data[:-10]), TABLE, KEYS) == shorter
    assert sealed.salvage(bytes(data[:50]), TABLE, KEYS) == b""


# ── growing ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pieces_come_back_in_order() -> None:
    parts = pieces_of(b"one", b"", b"three")
    assert opened(*parts) == [b"one", b"", b"three"]
    data = b"".join(parts)
    assert sealed.open_file(data, CHAIN, KEYS) == b"onethree\0"[:-1] == sealed.salvage(data, CHAIN, KEYS)


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "exchanged": lambda parts: [parts[0], parts[2], parts[1], *parts[3:]],
    "left out": lambda parts: [parts[0], *parts[2:]],
    "twice": lambda parts: [parts[0], parts[1], *parts[1:]],
    "of another file": lambda parts: [*parts[:2], pieces_of(b"aaaa", b"bbbb", file_id=bytes(16))[2], *parts[3:]],
    "of an older copy": lambda parts: [parts[0], pieces_of(b"olde", first_nonce=9)[1], *parts[2:]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_piece_opens_in_its_place_alone(change: str) -> None:
    parts = pieces_of(b"aaaa", b"bbbb", b"cccc")
    found = opened(*CHANGES[change](parts))
    assert found != [b"aaaa", b"bbbb", b"cccc"]
    assert any(isinstance(part, int) for part in found)


def test_every_byte_of_pieces_is_covered() -> None:
    parts = pieces_of(b"first", b"second")
    data = b"".join(parts)
    for at in range(HEADER_BYTES, len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert sealed.open_pieces(changed, CHAIN, KEYS) != b"firstsecond"


def test_what_follows_a_damaged_piece_can_be_had() -> None:
    parts = pieces_of(b"first", b"second", b"third")
    at = len(parts[0]) + len(parts[1]) + 30
    data = bytearray(b"".join(parts))
    data[at] ^= 1
    assert sealed.open_pieces(bytes(data), CHAIN, KEYS) == b"first\xff\xff\xff\xff\xff\xffthird"


def test_a_piece_that_was_cut_short_leaves_less_than_a_frame() -> None:
    data = b"".join(pieces_of(b"whole", b"torn"))
    for cut in range(1, 4 + sealed.PIECE_EXTRA_BYTES):
        assert sealed.open_pieces(data[:-cut], CHAIN, KEYS) == b"whole\0"
    with pytest.raises(TornFrame):
        sealed.open_pieces(data[: HEADER_BYTES - 1], CHAIN, KEYS)


# ── which files ──────────────────────────────────────────────────────────────────────────────────────────────────


COLLECTION_DIRECTORY = f"col_{UUID(int=7)}"
PACKED = Binding(Kind.PACKED, COLLECTION, 3)
NAMES = {
    "chain/00000003.chain": CHAIN,
    "chain/00000003.chain.tmp": CHAIN,
    "chain/00000003.chain.zst": PACKED,
    "chain/00000003.chain.zst.77.tmp": PACKED,
    "tables/00000003.sst": TABLE,
    "tables/00000003.sst.77.tmp": TABLE,
    "tree.nodes": Binding(Kind.NODES, COLLECTION),
    "redactions.toml.tmp": Binding(Kind.REDACTIONS, COLLECTION),
    "keys/signing.toml": Binding(Kind.SIGNING_KEY),
    "keys/signing.toml.tmp": Binding(Kind.SIGNING_KEY),
    "audit/00000003.acts": Binding(Kind.ACTS, number=3),
    "audit/00000003.acts.tmp": Binding(Kind.ACTS, number=3),
    "secrets/signing.toml": None,
    **dict.fromkeys(
        ("manifest.toml", "metadata.toml", "log.mark", "keys/public.toml", "keys/encryption.toml", "LOCK", "audit/head")
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_files_are_bound_by_their_names(name: str) -> None:
    assert binding_of("db", COLLECTION_DIRECTORY, *name.split("/")) == NAMES[name]
