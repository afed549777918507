"""Reading files for an audit: whole small ones, mapped large ones. An audit that cannot read a file says so."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

from blockdb.audit.doubt import Doubt
from blockdb.audit.findings import Findings
from blockdb.format import checked_toml, packed, sealed
from blockdb.format import mark as mark_format
from blockdb.format.buffer import Buffer
from blockdb.format.frame import BadFrame
from blockdb.format.keyring import DataKeys
from blockdb.format.place import split_place
from blockdb.format.reserved import end_of
from blockdb.layout import CollectionFiles
from blockdb.machine import boot_id

KEPT_BYTES: Final = 256 * 1024 * 1024
"""About so much of an encrypted chain is open in memory at a time, in each process of an audit."""


def read_values(path: Path, kind: str, findings: Findings, keys: DataKeys | None = None) -> dict[str, Any] | None:
    """The values of a checked TOML file of a kind, or None after noting what is wrong with it."""
    try:
        values = checked_toml.decode(bytes(_opened(path, path.read_bytes(), keys)[:]))
        if values.get("kind") == kind:
            return values
        findings.add(path, f"the file should be a {kind}, and is a {values.get('kind', 'file of no kind')}")
    except OSError as error:
        findings.add(path, f"the file cannot be read: {error.strerror}")
    except BadFrame as error:
        findings.add(path, str(error))
    return None


def map_segment(
    files: CollectionFiles, number: int, findings: Findings, keys: DataKeys | None = None
) -> tuple[Path, Buffer] | None:
    """A chain file and its bytes, unpacked where it is packed; or None after noting what is wrong with it.

    Whoever audits reads the chain through this alone.
    """
    path, packed_path = files.segment(number), files.packed(number)
    try:
        whole = _mapped(path) if keys is not None else _without_reserve(files, number)
        return path, _opened(path, whole, keys)  # as long as there are both, it is this one that counts
    except BadFrame as error:
        findings.add(path, str(error), offset=0)
        return None
    except (OSError, ValueError):
        if packed_path.exists():
            return _unpacked(packed_path, number, findings, keys)
    buffer = map_file(path, findings)
    return None if buffer is None else (path, buffer)


def _without_reserve(files: CollectionFiles, number: int) -> Buffer:
    """A chain file up to what was written, if it is the one that is written to. Raises OSError, ValueError."""
    path = files.segment(number)
    if files.segment(number + 1).exists():
        return _mapped(path)
    try:
        mark = mark_format.decode(files.mark.read_bytes())
    except (OSError, BadFrame):
        return _mapped(path, end_of(_mapped(path)))
    if mark.clean:
        return _mapped(path)
    if mark.is_of(boot_id()):
        newest, written = split_place(mark.written)
        return _mapped(path, written if newest == number else 0)
    return _mapped(path, end_of(_mapped(path)))


def _unpacked(path: Path, number: int, findings: Findings, keys: DataKeys | None) -> tuple[Path, Buffer] | None:
    """What a packed file holds, as a file without a name, so that it takes no more memory than one that is mapped."""
    buffer = map_file(path, findings, keys)
    if buffer is None:
        return None
    try:
        data = packed.unpack(buffer)
        if packed.decode_header(buffer).number != number:
            raise BadFrame("the packed chain file belongs elsewhere")
    except BadFrame as error:
        findings.add(path, str(error))
        return None
    if keys is not None:
        return path, data  # what is encrypted on one disk is not to stand on another
    with suppress(OSError, ValueError), TemporaryFile() as file:
        file.write(data)
        file.flush()
        return path, mmap(file.fileno(), 0, access=ACCESS_READ)
    return path, data


class SealedSegments(Sequence[tuple[Path, Buffer]]):
    """The chain files of an encrypted collection: too much to be open at a time, so those are that were used last."""

    def __init__(self, files: CollectionFiles, count: int, keys: DataKeys) -> None:
        self._files = files
        self._count = count
        self._keys = keys
        self._kept: OrderedDict[int, tuple[Path, Buffer]] = OrderedDict()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        """A chain file and its bytes. Raises Doubt where it is not what it was."""
        if not 0 <= number < self._count:
            raise IndexError
        found = self._kept.pop(number, None) or self.opened(number, Findings(self._files.root))
        if found is None:
            raise Doubt
        self._kept[number] = found
        while len(self._kept) > 1 and sum(len(buffer) for _, buffer in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return found

    def opened(self, number: int, findings: Findings) -> tuple[Path, Buffer] | None:
        """The same, anew; None after noting what is wrong with it."""
        return map_segment(self._files, number, findings, self._keys)


def chain_files(
    files: CollectionFiles, count: int, findings: Findings, keys: DataKeys | None
) -> Sequence[tuple[Path, Buffer]] | None:
    """The chain files of a collection and their bytes, or None after noting what is wrong with one of them."""
    sealed_ones = None if keys is None else SealedSegments(files, count, keys)
    segments = []
    for number in range(count):
        found = map_segment(files, number, findings) if sealed_ones is None else sealed_ones.opened(number, findings)
        if found is None:
            return None
        if sealed_ones is None:
            segments.append(found)
    return segments if sealed_ones is None else sealed_ones


def buffers_of(segments: Sequence[tuple[Path, Buffer]]) -> Sequence[Buffer]:
    """Their bytes alone."""
    return [buffer for _, buffer in segments] if isinstance(segments, list) else _Buffers(segments)


class _Buffers(Sequence[Buffer]):
    """The bytes of chain files alone."""

    def __init__(self, segments: Sequence[tuple[Path, Buffer]]) -> None:
        self._segments = segments

    def __len__(self) -> int:
        return len(self._segments)

    def __getitem__(self, number: Any) -> Any:
        return self._segments[number][1]


def map_file(path: Path, findings: Findings, keys: DataKeys | None = None) -> Buffer | None:
    """A file mapped into memory, or None after noting what is wrong with it."""
    try:
        return _opened(path, _mapped(path), keys)
    except BadFrame as error:
        findings.add(path, str(error), offset=0)
    except OSError as error:
        findings.add(path, f"the file cannot be read: {error.strerror}")
    except ValueError:
        findings.add(path, "the file is empty")
    return None


def _opened(path: Path, buffer: Buffer, keys: DataKeys | None) -> Buffer:
    """What a file holds, which is encrypted where there are keys. Raises BadFrame."""
    binding = None if keys is None else sealed.binding_of(*path.absolute().parts)
    return buffer if keys is None or binding is None else sealed.open_file(buffer, binding, keys)


def _mapped(path: Path, most: int = 0) -> mmap:
    """A file, mapped; with `most`, no more than that of its bytes."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return mmap(file.fileno(), min(most, size), access=ACCESS_READ)
