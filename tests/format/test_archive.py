import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockdb.format import archive, backup_header
from blockdb.format.archive import BLOCK_BYTES, Entry
from blockdb.format.backup_header import Header
from blockdb.format.frame import BadFrame
from tests.format.damage import changed, taken

COLLECTION = "col_00112233-4455-6677-8899-aabbccddeeff"
ENTRY = Entry(f"collections/{COLLECTION}/chain/00000007.chain.zst", 12_345)
HEADER = Header("id", 1, COLLECTION, False, False, 10, {"default": COLLECTION}, {COLLECTION: 48})

paths = st.sampled_from(
    ["backup.json", "SHA256SUMS", "keys/public.toml", "transactions.log", ENTRY.path]
    + [f"collections/{COLLECTION}/{name}" for name in ("log.mark", "tables/00000001.sst", "indexes/00000001.idx")]
)


@given(paths, st.integers(0, 2**60))
def test_an_entry_is_what_it_was(path: str, size: int) -> None:
    block = archive.encode_entry(Entry(path, size))
    assert len(block) == BLOCK_BYTES
    assert archive.decode_entry(block) == (path, size)


@settings(max_examples=25)
@given(paths, st.binary(max_size=2_000))
def test_tar_reads_it(path: str, data: bytes) -> None:
    text = archive.encode_entry(Entry(path, len(data))) + data + archive.padding(len(data)) + archive.END
    with tarfile.open(fileobj=io.BytesIO(text)) as file:
        [member] = file.getmembers()
        content = file.extractfile(member)
        assert (member.name, member.isreg(), member.mode) == (path, True, 0o600)
        assert content is not None
        assert content.read() == data


@pytest.mark.torture
def test_every_changed_byte_of_an_entry_is_noticed() -> None:
    assert taken(lambda data: archive.decode_entry(data), archive.encode_entry(ENTRY)) == []


def test_changed_bytes_of_an_entry_are_noticed() -> None:
    for _, damaged in changed(archive.encode_entry(ENTRY), step=51):
        with pytest.raises(BadFrame):
            archive.decode_entry(damaged)


@pytest.mark.parametrize(
    "path",
    [
        "../etc/passwd",
        "/etc/passwd",
        "keys/../../x",
        "LOCK",
        "server/tokens.toml",
        f"collections/{COLLECTION}/../../keys/public.toml",
        f"collections/{COLLECTION}/chain/7.chain",
        f"collections/{COLLECTION.upper()}/log.mark",
        "keys/public.toml\n",
    ],
)
def test_no_other_path_is_taken(path: str) -> None:
    with pytest.raises(ValueError, match="no file of a database"):
        archive.encode_entry(Entry(path, 1))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, b"x", b"g", b"L"])
def test_nothing_but_regular_files_is_taken(kind: bytes) -> None:
    info = tarfile.TarInfo("keys/public.toml")
    info.type, info.linkname, info.mode = kind, "/etc/passwd", 0o600
    with pytest.raises(BadFrame):
        archive.decode_entry(info.tobuf(tarfile.USTAR_FORMAT)[:BLOCK_BYTES])


def test_the_header_is_what_it_was() -> None:
    assert backup_header.decode_header(HEADER.encode()) == HEADER


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        HEADER.encode().replace(b'"format": 2', b'"format": 1'),
        HEADER.encode().replace(b'"format": 2', b'"format": 3'),
        HEADER.encode().replace(b'"logs": {}', b'"logs": {"a": [1, 2]}'),
        HEADER.encode().replace(b'"logs": {}', b'"logs": {"a": [1, 2, "3", ""]}'),
        HEADER.encode().replace(b'"full"', b'"incremental"'),
        HEADER.encode().replace(b'"col_00', b'"../../col_00'),
        HEADER.encode().replace(b'"most_bytes": 10', b'"most_bytes": "10"'),
        HEADER.encode().replace(b'"time_ms": 1,', b""),
        HEADER.encode().replace(b'"time_ms": 1,', b'"time_ms": 1, "more": 2,'),
    ],
)
def test_another_header_is_refused(data: bytes) -> None:
    with pytest.raises(BadFrame):
        backup_header.decode_header(data)
