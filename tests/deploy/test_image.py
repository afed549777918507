"""The image and the compose files: read, and the steps of the build run in a directory, which needs no runtime."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from blockdb.config import Sources
from tests.deploy.manifests import ROOT
from tests.deploy.pods import image
from tests.fenced import BIN, run

DEPLOY = ROOT / "deploy"
TEXT = (DEPLOY / "Containerfile").read_text()
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
PROGRAMS = "/usr/local/lib/blockdb"
COMPOSE = ("compose.yaml", "compose.cluster.yaml")


def build_steps() -> list[tuple[str, str]]:
    """The instructions of the first stage."""
    stage = TEXT.replace("\\\n", " ").split("\nFROM ")[1]
    lines = [line for line in stage.splitlines()[1:] if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def is_sent(name: str) -> bool:
    """Whether .dockerignore lets something at the top of the tree through: the last line that fits counts."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#") and fnmatch(name, line.removeprefix("!")):
            sent = line.startswith("!")
    return sent


def test_nothing_names_a_registry_and_nobody_is_root() -> None:
    assert "://" not in TEXT
    assert re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE) == ["${BASE}", "${BASE}"]
    [base] = re.findall(r"^ARG BASE=(\S+)$", TEXT, re.MULTILINE)
    assert "/" not in base
    final = image()
    assert final["USER"] == ["65532:65532"]
    assert final["STOPSIGNAL"] == ["SIGTERM"]
    assert final["VOLUME"] == ["/var/lib/blockdb"]


def test_programs_are_called_without_a_shell_and_are_there() -> None:
    final = image()
    [entry] = json.loads(final["ENTRYPOINT"][0])
    assert entry == "blockdb-server"
    assert entry in SCRIPTS
    health = json.loads(final["HEALTHCHECK"][0].partition("CMD ")[2])
    assert health[0] in SCRIPTS
    found = subprocess.run(
        [BIN / health[0], *health[1:], "--url", "http://127.0.0.1:1"], capture_output=True, text=True
    )
    assert (found.returncode, found.stderr[:18]) == (3, "Error: Unavailable"), "nobody answers there"
    variables = dict(re.findall(r"(\w+)=(\S+)", " ".join(final["ENV"])))
    assert variables.pop("PATH").startswith(f"{PROGRAMS}/bin:")
    volume = Path(final["VOLUME"][0])
    assert Path(Sources(None, variables).database().data_dir).parent == volume


def test_what_is_copied_is_there_and_sent() -> None:
    copied = [word for name, rest in build_steps() if name == "COPY" for word in rest.split()[:-1]]
    assert {"blockdb", "repl", "tui", "themes", "pyproject.toml", "constraints.txt"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists(), name
        assert is_sent(name), name
    assert not any(map(is_sent, (".git", "tests", "docs", "deploy", ".venv", "root.token", "tls")))


@pytest.mark.torture
def test_the_steps_of_the_build_make_what_the_image_starts(tmp_path: Path) -> None:
    """As the file says them, at places of this machine; packages come from where pip is told to look."""
    places = {"/src": tmp_path / "src", "/wheels": tmp_path / "wheels", PROGRAMS: tmp_path / "programs"}
    source = places["/src"]
    source.mkdir()
    for name, rest in build_steps():
        if name == "COPY":
            *names, target = rest.split()
            for each in names:
                into = source / target / ("" if target.endswith("/") else ".")
                if (ROOT / each).is_dir():
                    shutil.copytree(ROOT / each, into, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
                else:
                    shutil.copyfile(ROOT / each, into / each)
        elif name == "RUN":
            command = re.sub("|".join(places), lambda found: str(places[found[0]]), rest)
            command = re.sub(r"\bpython -m", f"{sys.executable} -m", command)
            done = subprocess.run(["sh", "-c", command], cwd=source, capture_output=True, text=True, timeout=600)
            assert done.returncode == 0, done.stderr
    for program in ("blockdb-server", "blockdb"):
        told = subprocess.run([places[PROGRAMS] / "bin" / program, "--version"], capture_output=True, text=True)
        assert re.fullmatch(r"blockdb \d+\.\d+\.\d+\S*\n", told.stdout), told.stderr


def variables(service: dict[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in service["environment"].items()}


@pytest.mark.parametrize("file", COMPOSE)
def test_what_compose_says_is_a_configuration(file: str, tmp_path: Path) -> None:
    """The commands at its head are given, and each file that it names is there then."""
    text = (DEPLOY / file).read_text()
    commands = re.findall(r"^#   (.+)$", text.partition("\nservices:")[0].partition("\nx-")[0], re.MULTILINE)
    for command in commands:
        result = run(["bash", "-euo", "pipefail", "-c", re.sub(r"^sudo .*", "true", command)], tmp_path)
        assert result.returncode == 0, result.stdout
    for name, service in yaml.safe_load(text)["services"].items():
        found = Sources(_empty(tmp_path), variables(service)).config()
        mounts = dict(each.split(":")[1::-1] for each in service["volumes"])
        for path in _files(found):
            [(mount, here)] = [pair for pair in mounts.items() if Path(path).is_relative_to(pair[0])]
            assert (tmp_path / here / Path(path).relative_to(mount)).is_file(), path
        assert "/var/lib/blockdb" in mounts
        assert found.cluster.own_entry == ("" if file == "compose.yaml" else f"{name}:{name}:8080")
        assert service["stop_grace_period"] == "60s"
        assert service["ports"][0].endswith(f":{found.server.port}")
        assert service["ports"][0].startswith("127.0.0.1:")


def _empty(directory: Path) -> Path:
    file = directory / "empty.toml"
    file.touch()
    return file


def _files(config: Any) -> list[str]:
    security, cluster = config.security, config.cluster
    named = (security.tls_certificate, security.tls_key, security.tokens_file)
    return [each for each in (*named, cluster.peer_certificate, cluster.peer_key, cluster.peer_ca) if each]
