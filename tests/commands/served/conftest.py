"""The program run over a network: one socket for all tests, and behind it a database of each test's own."""

from __future__ import annotations

import io
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

import blockdb
from blockdb.commands import cli
from blockdb.server.http.application import Application
from blockdb.server.service import Service
from tests.commands.conftest import Ran, Run, here

__all__ = ["here"]

OF_DIRECTORIES = frozenset(
    (
        "test_a_file_is_replaced_whole_or_not_at_all",
        "test_a_key_that_is_kept_apart",
        "test_a_receipt_is_made_and_checked_without_the_database",
        "test_a_schema_is_set_shown_and_followed",  # which names another author: a server takes whom the token names
        "test_an_export_goes_on_and_refuses_what_is_not_its_own",
        "test_an_import_refuses_what_a_unique_index_has",
        "test_an_import_that_fails_says_how_far_it_came",
        "test_beside_a_writer_what_can_be_proven_without_writing_is",
        "test_every_command_for_records_takes_a_collection",
        "test_find_prints_documents_that_import_takes",
        "test_on_a_terminal_the_name_is_asked_for",
        "test_tiles_are_what_the_standard_says",
    )
)
"""Tests that look into the directory of the database, or are about what is done there."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave these out here."""
    folder = Path(__file__).parent
    items[:] = [
        item for item in items if item.path.parent != folder or item.name.partition("[")[0] not in OF_DIRECTORIES
    ]


class Door:
    """A server whose application can be exchanged: starting one for each test would take too long."""

    def __init__(self) -> None:
        self.application: Any = None
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(self, lifespan="off", log_config=None, access_log=False, ws="none")
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._listening],), daemon=True)
        self._thread.start()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.application(scope, receive, send)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._listening.close()


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.close()


@pytest.fixture
def run(
    here: Path, door: Door, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """Run the program on a database that a server has."""

    def run(*words: str, stdin: bytes = b"") -> Ran:
        capsysbinary.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = cli.run(("--url", door.url, *words))
        found = capsysbinary.readouterr()
        return Ran(code, found.out, found.err.decode())

    with blockdb.open(here / "served_data") as database:
        service = Service(database)
        application = door.application = Application(service)
        yield run
        service.close()
        application.close()
