"""`blockdb health`: what supervisors ask, of a server here and of one elsewhere."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest

from blockdb.server.certificates import make
from blockdb.server.forming import Forming
from blockdb.server.tls import LiveTls, TlsFiles
from blockdb.serving.listening import listen
from tests.commands.conftest import Run
from tests.commands.conftest import here as here
from tests.commands.conftest import run as run
from tests.ports import free_port
from tests.server.running import served_here


def test_a_server_that_is_ready(run: Run, tmp_path: Path) -> None:
    with served_here(tmp_path / "db") as (_, (host, port)):
        result = run("health", "--url", f"http://{host}:{port}")
        assert (result.code, result.text) == (0, f"{host}:{port} is ready\n")
        assert run("health", "--live", "--url", f"http://{host}:{port}").text == f"{host}:{port} is live\n"
        (tmp_path / "blockdb.toml").write_text(f"[server]\nport = {port}\n")
        result = run("health", "--config", str(tmp_path / "blockdb.toml"), "--format", "json")
        told = {"address": f"{host}:{port}", "healthy": True, "status": 200, "reasons": []}
        assert told.items() <= json.loads(result.text).items()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_one_that_is_not_ready_says_why_whatever_its_certificate_says(run: Run, tmp_path: Path, host: str) -> None:
    """Here a node that waits for the others; its certificate is for another name, and by nobody's authority."""
    make(tmp_path, ["db.example.org"])
    files = TlsFiles(tmp_path / "server.crt", tmp_path / "server.key")
    with listen("127.0.0.1", 0) as listening, Forming([listening], LiveTls(files).context):
        port = listening.getsockname()[1]
        (tmp_path / "blockdb.toml").write_text(
            f'[server]\nhost = "{host}"\nport = {port}\n'
            f'[security]\ntls_certificate = "{files.certificate}"\ntls_key = "{files.key}"\n'
        )
        result = run("health", "--config", str(tmp_path / "blockdb.toml"))
        assert result.code == 1
        assert result.text.startswith(f"127.0.0.1:{port} is not ready: This node has no database yet")
        assert run("health", "--live", "--config", str(tmp_path / "blockdb.toml")).code == 0
        ca, url = str(tmp_path / "ca.crt"), f"https://localhost:{port}"
        assert run("health", "--live", "--url", url, "--ca", ca).code == 0
        result = run("health", "--live", "--url", url)
        assert result.code == 3
        assert "certificate verify failed" in result.err, ssl.OPENSSL_VERSION


def test_nobody_is_there(run: Run) -> None:
    result = run("health", "--url", f"http://127.0.0.1:{free_port()}")
    assert result.code == 3
    assert result.err.startswith("Error: Unavailable: 127.0.0.1:")
