"""A server on loopback, and what clients make of its `.proto`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest
from grpc_tools import protoc

import blockdb
from blockdb.server.grpc.door import GrpcDoor
from blockdb.server.service import Service

PROTO = Path(blockdb.__file__).parent / "server" / "grpc" / "blockdb.proto"


@dataclass
class Stubs:
    """What protoc has made."""

    pb2: ModuleType
    pb2_grpc: ModuleType


@dataclass
class Running:
    """A server, its database, and a client of it."""

    service: Service
    door: GrpcDoor
    channel: grpc.Channel
    stub: Any
    pb2: Any


def generate(folder: Path) -> Stubs:
    """What users do: stubs out of the file that is packaged."""
    well_known = Path(protoc.__file__).parent / "_proto"
    arguments = [
        "protoc",
        f"-I{PROTO.parent}",
        f"-I{well_known}",
        f"--python_out={folder}",
        f"--grpc_python_out={folder}",
    ]
    assert protoc.main([*arguments, str(PROTO)]) == 0
    sys.path.insert(0, str(folder))
    try:
        return Stubs(importlib.import_module("blockdb_pb2"), importlib.import_module("blockdb_pb2_grpc"))
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Stubs:
    return generate(tmp_path_factory.mktemp("stubs"))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, stubs: Stubs) -> Iterator[Running]:
    with blockdb.open(tmp_path_factory.mktemp("grpc") / "db", blockchain_batch_size=10) as database:
        service = Service(database)
        door = GrpcDoor(service, "127.0.0.1:0")
        with grpc.insecure_channel(f"127.0.0.1:{door.start()}") as channel:
            yield Running(service, door, channel, stubs.pb2_grpc.BlockDBStub(channel), stubs.pb2)
            service.close()
        door.stop()
