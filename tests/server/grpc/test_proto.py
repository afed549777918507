"""The packaged `blockdb.proto`: it is current, protoc reads it as it is meant, and no number in it ever changes."""

from __future__ import annotations

from pathlib import Path

from blockdb.server.grpc.catalogue import FILE, catalogue
from tests.server.grpc.conftest import PROTO
from tests.server.grpc.pins import PINS, fields, pinned
from tests.wire.test_protobuf import compiled


def test_it_is_current() -> None:
    made = "python -m blockdb.server.grpc.reference > blockdb/server/grpc/blockdb.proto"
    assert PROTO.read_text() == catalogue().text(), f"write it anew: {made}"


def test_protoc_reads_what_the_server_means(tmp_path: Path) -> None:
    assert compiled(PROTO.read_text(), tmp_path, FILE) == catalogue().file


def test_no_number_changes() -> None:
    now, before = fields(), pinned()
    changed = {name: f"{what}, now {now.get(name)}" for name, what in before.items() if now.get(name) != what}
    assert changed == {}, "programs out there know these fields: append new ones to the end of a Struct, remove none"
    new = sorted(now.keys() - before.keys())
    assert new == [], f"pin what is new in {PINS.name}: python -m tests.server.grpc.pins"
