"""Pods of the manifests as processes of this machine: commands, environment, mounts and names as Kubernetes makes them.

Each pod has an address of loopback of its own; names of pods, ports and paths are exchanged for what they are here.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from tests.deploy.manifests import ROOT, Object, named
from tests.fenced import BIN, blocks, run
from tests.ports import FIRST, PORTS

PATIENCE_S = 60
PROGRAMS = {"kubectl": "kubectl.py"}
HTTPS, PEERS = 8080, 9080


def image() -> dict[str, list[str]]:
    """The instructions of the last stage of the image, by their names."""
    text = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found = {}
        if name.isupper():
            found.setdefault(name, []).append(rest.strip())
    return found


def fake_programs(directory: Path) -> Path:
    """A directory with programs in place of those that are not there; what they are told is kept beside them."""
    programs = directory / "programs"
    programs.mkdir()
    for name, file in PROGRAMS.items():
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec "{BIN}/python" "{Path(__file__).parent / file}" "{directory}" "$@"\n')
        script.chmod(0o755)
    return programs


def prepared(directory: Path) -> Path:
    """What the guide says is to be done first, done in a directory: its secrets are in `secrets`."""
    [block] = [
        each
        for each in blocks((ROOT / "docs" / "DEPLOYMENT.md").read_text())
        if each.section == "In Kubernetes" and each.runs
    ]
    (directory / "deploy").symlink_to(ROOT / "deploy")
    result = run(["bash", "-euo", "pipefail", "-c", block.text], directory, fake_programs(directory))
    assert result.returncode == 0, result.stdout
    return directory / "secrets"


def free_ports(count: int) -> int:
    """A port that is free at as many addresses of pods, as is the one for nodes."""
    for number in range(os.getpid() % 7_000 + FIRST, FIRST + PORTS, 13):
        try:
            for pod in range(count):
                for port in (number, number + PEERS - HTTPS):
                    socket.create_server((address_of(pod), port)).close()
        except OSError:
            continue
        return number
    raise AssertionError("no port is free")


def address_of(ordinal: int) -> str:
    return f"127.0.0.{ordinal + 2}"


@dataclass
class Stage:
    """Where pods are played: objects, secrets, and what stands for disks and names."""

    directory: Path
    objects: list[Object]
    secrets: Path
    port: int

    def spec(self) -> Object:
        spec: Object = named(self.objects, "StatefulSet", "blockdb")["spec"]
        return spec

    def pod(self, ordinal: int) -> Pod:
        template = self.spec()["template"]["spec"]
        claims = [each["metadata"]["name"] for each in self.spec()["volumeClaimTemplates"]]
        return Pod(self, f"blockdb-{ordinal}", template, claims, ordinal)

    def url(self, ordinal: int) -> str:
        return f"https://{address_of(ordinal)}:{self.port}"


@dataclass
class Pod:
    """A pod with one container, and the process that it is at the moment."""

    stage: Stage
    name: str
    template: Object
    claims: list[str]
    ordinal: int = 0
    process: subprocess.Popen[bytes] | None = None
    mounts: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        [self.container] = self.template["containers"]
        self.directory = self.stage.directory / self.name
        self.directory.mkdir(parents=True, exist_ok=True)
        volumes = {each["name"]: each for each in self.template["volumes"]}
        for mount in self.container["volumeMounts"]:
            self.mounts[mount["mountPath"]] = self._volume(mount["name"], volumes.get(mount["name"], {}))
        for volume in volumes.values():
            if "configMap" in volume:
                self._write(self.directory / volume["name"], volume["configMap"]["name"])

    def _volume(self, name: str, volume: Object) -> Path:
        place = self.directory / name
        if "secret" in volume:
            secret = volume["secret"]
            place = self.stage.secrets / secret["secretName"]
            assert place.is_dir() or secret.get("optional"), f"{place.name} is in no command of the guide"
            assert all((place / item["key"]).is_file() for item in secret.get("items", ()))
            return place
        place.mkdir(exist_ok=True)
        assert name in self.claims or volume.keys() & {"configMap", "emptyDir", "persistentVolumeClaim"}, volume
        return place

    def _write(self, place: Path, config_map: str) -> None:
        for file, text in named(self.stage.objects, "ConfigMap", config_map)["data"].items():
            (place / file).write_text(self.placed(text))

    def placed(self, text: str) -> str:
        """A text with the paths, ports and names of this machine in place of those of a pod."""
        paths = "|".join(map(re.escape, self.mounts))
        return re.sub(
            rf"(?P<path>{paths})(?![\w-])|blockdb-(?P<pod>\d)\.blockdb-nodes|(?<=//)(?P<service>blockdb)(?=:)"
            rf"|(?P<anywhere>\b0\.0\.0\.0\b)|\b(?P<port>{HTTPS}|{PEERS})\b",
            self._here,
            text,
        )

    def _here(self, found: re.Match[str]) -> str:
        match found.lastgroup:
            case "path":
                return str(self.mounts[found[0]])
            case "pod":
                return address_of(int(found["pod"]))
            case "service":
                return address_of(0)
            case "anywhere":
                return address_of(self.ordinal)
        return str(self.stage.port + int(found[0]) - HTTPS)

    def environment(self) -> dict[str, str]:
        """What the process is given: of the image, and of the manifest; nothing of ours but where Python is."""
        found = {}
        for name, value in re.findall(r"(\w+)=(\S+)", " ".join(image()["ENV"])):
            found[name] = value
        for each in self.container.get("env", ()):
            value = each.get("value")
            if value is None:
                assert each["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
                value = self.name
            found[each["name"]] = re.sub(r"\$\((\w+)\)", lambda name: found[name[1]], value)
        found = {name: self.placed(value) for name, value in found.items() if name != "PATH"}
        return found | {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(self.directory)}

    def command(self) -> list[str]:
        entry = self.container.get("command") or json.loads(image()["ENTRYPOINT"][0])
        return [*entry, *map(self.placed, self.container.get("args", ()))]

    def begin(self) -> None:
        """Start it, without waiting until it can be asked."""
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def probe(self, kind: str) -> int | None:
        """The status that a probe of the manifest gets, as a kubelet asks; None: nobody answers."""
        wanted = self.container[kind]["httpGet"]
        ports = {each["name"]: each["containerPort"] for each in self.container["ports"]}
        assert wanted["scheme"] == "HTTPS"
        port = int(self.placed(str(ports[wanted["port"]])))
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        timeout_s = self.container[kind]["timeoutSeconds"]
        connection = HTTPSConnection(address_of(self.ordinal), port, timeout=timeout_s, context=context)
        try:
            connection.request("GET", wanted["path"])
            return connection.getresponse().status
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def wait_for(self, kind: str, status: int = 200) -> None:
        until = time.monotonic() + PATIENCE_S
        while self.probe(kind) != status:
            assert time.monotonic() < until, f"{kind} of {self.name}\n{self.log()[-3000:]}"
            assert self.process is None or self.process.poll() is None, self.log()[-3000:]
            time.sleep(0.05)

    def stop(self) -> float:
        """End it as a kubelet does; how many seconds that took. It has to be in time, and in order."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(self.template["terminationGracePeriodSeconds"])
        assert code == 0, self.log()[-3000:]
        self.process = None
        return time.monotonic() - began

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
            self.process = None
