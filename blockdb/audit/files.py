"""Reading files for an audit: whole small ones, mapped large ones. An audit that cannot read a file says so."""

from __future__ import annotations

from contextlib import suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from blockdb.audit.findings import Findings
from blockdb.format import checked_toml, packed
from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame
from blockdb.layout import CollectionFiles


def read_values(path: Path, kind: str, findings: Findings) -> dict[str, Any] | None:
    """The values of a checked TOML file of a kind, or None after noting what is wrong with it."""
    try:
        values = checked_toml.decode(path.read_bytes())
        if values.get("kind") == kind:
            return values
        findings.add(path, f"the file should be a {kind}, and is a {values.get('kind', 'file of no kind')}")
    except OSError as error:
        findings.add(path, f"the file cannot be read: {error.strerror}")
    except BadFrame as error:
        findings.add(path, str(error))
    return None


def map_segment(files: CollectionFiles, number: int, findings: Findings) -> tuple[Path, Buffer] | None:
    """A chain file and its bytes, unpacked where it is packed; or None after noting what is wrong with it.

    Whoever audits reads the chain through this alone.
    """
    path, packed_path = files.segment(number), files.packed(number)
    try:
        return path, _mapped(path)  # as long as there are both, it is this one that counts
    except (OSError, ValueError):
        if packed_path.exists():
            return _unpacked(packed_path, number, findings)
    buffer = map_file(path, findings)
    return None if buffer is None else (path, buffer)


def _unpacked(path: Path, number: int, findings: Findings) -> tuple[Path, Buffer] | None:
    """What a packed file holds, as a file without a name, so that it takes no more memory than one that is mapped."""
    buffer = map_file(path, findings)
    if buffer is None:
        return None
    try:
        data = packed.unpack(buffer)
        if packed.decode_header(buffer).number != number:
            raise BadFrame("the packed chain file belongs elsewhere")
    except BadFrame as error:
        findings.add(path, str(error))
        return None
    with suppress(OSError, ValueError), TemporaryFile() as file:
        file.write(data)
        file.flush()
        return path, mmap(file.fileno(), 0, access=ACCESS_READ)
    return path, data


def map_file(path: Path, findings: Findings) -> mmap | None:
    """A file mapped into memory, or None after noting what is wrong with it."""
    try:
        return _mapped(path)
    except OSError as error:
        findings.add(path, f"the file cannot be read: {error.strerror}")
    except ValueError:
        findings.add(path, "the file is empty")
    return None


def _mapped(path: Path) -> mmap:
    with path.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ)
