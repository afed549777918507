"""Recordings: the story of a cluster in a file of JSON lines, to be kept, sent, and replayed.

The first line says what the file is; each other line is a sample of the lanes or an event, in the order of their times.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

import blockdb

from .lanes import Sample
from .story import Happening, Story, time_of

__all__ = ["read_recording", "write_recording"]

FORMAT = "blockdb cluster recording"
VERSION = 1
MOST_BYTES = 64 << 20
MOST_LINE_BYTES = 1 << 20


class _Head(msgspec.Struct, tag_field="line", tag="recording"):
    format: str
    version: int


_encoder = msgspec.json.Encoder()
_heads = msgspec.json.Decoder(_Head)
_decoder = msgspec.json.Decoder(Sample | Happening)


def write_recording(path: Path, story: Story) -> int:
    """Keeps a story in a new file, and gives its size in bytes. Raises OSError, FileExistsError where one is there."""
    samples: list[Sample | Happening] = [*story.samples]
    items = heapq.merge(samples, list(story.events), key=time_of)
    with path.open("xb") as file:
        file.write(_encoder.encode(_Head(FORMAT, VERSION)) + b"\n")
        for item in items:
            file.write(_encoder.encode(item) + b"\n")
        return file.tell()


def read_recording(path: Path) -> Story:
    """The story in a file. Raises OSError, and InvalidData, which names the line that cannot be read."""
    story = Story(most=MOST_BYTES)
    with path.open("rb") as file:
        _check_head(path, file)
        for item in _items(path, file):
            story.add(item)
    if not story.samples:
        raise blockdb.InvalidData(f"{path}: there is no sample of a cluster in it.")
    return story


def _check_head(path: Path, file: BinaryIO) -> None:
    try:
        head = _heads.decode(file.readline(MOST_LINE_BYTES))
    except (msgspec.DecodeError, UnicodeDecodeError):
        head = None
    if head is None or head.format != FORMAT:
        raise blockdb.InvalidData(f"{path}: this is no recording of a cluster; w in the view of a cluster makes one.")
    if head.version != VERSION:
        raise blockdb.InvalidData(f"{path}: it is of version {head.version}; this program reads version {VERSION}.")


def _items(path: Path, file: BinaryIO) -> Iterator[Sample | Happening]:
    if path.stat().st_size > MOST_BYTES:
        raise blockdb.InvalidData(f"{path}: it is longer than {MOST_BYTES >> 20} MiB, which is too long to be shown.")
    number = 1
    while line := file.readline(MOST_LINE_BYTES):
        number += 1
        if not line.endswith(b"\n") and len(line) < MOST_LINE_BYTES:
            return  # whoever wrote it was cut short: what came before is whole
        try:
            yield _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise blockdb.InvalidData(f"{path}, line {number}: {error}") from None
