"""What `docs/GRPC.md` says is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from blockdb import errors
from blockdb.errors import BlockDBError
from blockdb.wire.failures import Failure
from tests.server.grpc.conftest import Running

PAGE = (Path(__file__).parents[3] / "docs" / "GRPC.md").read_text()


def test_its_program_works(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    program = program.replace("127.0.0.1:9090", f"127.0.0.1:{running.door.port}").replace(
        '"Bearer bdb_..."', '"Bearer x"'
    )
    exec(compile(program, "docs/GRPC.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == ["b'Ada'", "1000", "500", "500"]


def test_its_table_of_errors_is_complete() -> None:
    told = {
        kind.strip(): code
        for code, kinds in re.findall(r"^\| `([A-Z_]+)` \| ([\w, ]+)", PAGE, re.MULTILINE)
        for kind in kinds.split(",")
    }
    for name in errors.__all__:
        error = getattr(errors, name)
        if isinstance(error, type) and issubclass(error, BlockDBError):
            code = Failure(kind=name, message="").grpc_code
            assert told.get(name, "INTERNAL") == code, name
