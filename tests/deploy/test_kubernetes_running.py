"""The Kubernetes manifests, run: each container's command and environment as a process, its probes, its end."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPSConnection
from itertools import count, cycle, islice
from pathlib import Path
from shutil import copyfile, rmtree
from threading import Event, Thread
from typing import Any

import pytest
from cryptography import x509

import blockdb
from blockdb.server.certificates import make
from tests.deploy.manifests import KUBERNETES, named, rendered
from tests.deploy.pods import Pod, Stage, address_of, free_ports, prepared
from tests.server.harness import Answer
from tests.tiers import tiers

pytestmark = pytest.mark.timeout(300)

NAMES = {"blockdb", "localhost", *(f"blockdb-{number}.blockdb-nodes" for number in range(3))}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the guide's commands were given."""
    directory = tmp_path_factory.mktemp("operator")
    secrets = prepared(directory)
    copyfile(secrets / "blockdb-tls" / "tls.crt", directory / "as-told.crt")
    return directory


@contextmanager
def stage(made: Path, directory: Path, kustomization: str = "example", count: int = 4) -> Iterator[Stage]:
    """Names are exchanged for addresses, so the server's certificate is made anew for these."""
    for name in ("server.crt", "server.key"):
        (made / "tls" / name).unlink()
    make(made / "tls", [address_of(number) for number in range(count)])
    secrets = made / "secrets"
    for name, file in (("tls.crt", "server.crt"), ("tls.key", "server.key")):
        (secrets / "blockdb-tls" / name).write_bytes((made / "tls" / file).read_bytes())
    yield Stage(directory, rendered(KUBERNETES / kustomization), secrets, free_ports(count))


@contextmanager
def running(pods: list[Pod]) -> Iterator[list[Pod]]:
    """Pods that are ready; those that are appended to the list are ended with the others."""
    try:
        for pod in pods:
            pod.begin()
        for pod in pods:
            pod.wait_for("readinessProbe")
        yield pods
    finally:
        for pod in pods:
            pod.kill()


@pytest.fixture(scope="module")
def cluster(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Pod]]:
    """The three nodes of the example."""
    with (
        stage(made, tmp_path_factory.mktemp("cluster")) as here,
        running([here.pod(number) for number in range(here.spec()["replicas"])]) as pods,
    ):
        yield pods


def connected(pods: list[Pod], name: str = "root") -> blockdb.RemoteDatabase:
    here = pods[0].stage
    token = (here.secrets.parent / f"{name}.token").read_text().strip()
    urls = [here.url(pod.ordinal) for pod in pods]
    ca_file = here.secrets / "blockdb-tls" / "ca.crt"
    return blockdb.connect(urls, token=token, ca_file=ca_file, timeout_s=60)


def ask(pod: Pod, path: str, **headers: str) -> Answer:
    context = ssl.create_default_context(cafile=str(pod.stage.secrets / "blockdb-tls" / "ca.crt"))
    connection = HTTPSConnection(address_of(pod.ordinal), pod.stage.port, timeout=20, context=context)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def test_the_certificate_is_good_for_all_names(made: Path) -> None:
    certificate = x509.load_pem_x509_certificate((made / "as-told.crt").read_bytes())
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(found.get_values_for_type(x509.DNSName)) >= NAMES
    monitor = named(rendered(KUBERNETES / "example"), "ServiceMonitor", "blockdb")["spec"]["endpoints"][0]
    assert monitor["tlsConfig"]["serverName"] in NAMES


def test_a_node_that_waits_for_the_others_lives_and_is_not_ready(made: Path, tmp_path: Path) -> None:
    """So nothing ends it, and nobody is sent to it."""
    with stage(made, tmp_path) as here:
        pod = here.pod(0)
        try:
            pod.begin()
            pod.wait_for("startupProbe")
            assert (pod.probe("livenessProbe"), pod.probe("readinessProbe")) == (200, 503)
            assert pod.stop() < here.spec()["template"]["spec"]["terminationGracePeriodSeconds"] - 10
        finally:
            pod.kill()


def test_three_nodes_become_a_cluster_that_knows_its_users(cluster: list[Pod]) -> None:
    assert [pod.probe(kind) for pod in cluster for kind in ("livenessProbe", "readinessProbe")] == [200] * 6
    assert all(json.loads(line) for pod in cluster for line in pod.log().splitlines() if line.startswith("{"))
    with connected(cluster) as database:
        database.put(b"user:1001", b"John Doe")
        state = database.cluster.state()
        assert {member.id for member in state.members} == {"blockdb-0", "blockdb-1", "blockdb-2"}
        assert (state.cluster_id, state.health) == ("blockdb", "healthy")
    for pod in cluster:
        with connected([pod]) as database:
            assert database.get(b"user:1001") == b"John Doe"
        assert ask(pod, "/api/v1/get/user:1001").status == 401


def test_prometheus_may_look_and_no_more(cluster: list[Pod]) -> None:
    pod = cluster[0]
    endpoint = named(pod.stage.objects, "ServiceMonitor", "blockdb")["spec"]["endpoints"][0]
    secret, authority = endpoint["authorization"]["credentials"], endpoint["tlsConfig"]["ca"]["secret"]
    assert (pod.stage.secrets / authority["name"] / authority["key"]).is_file()
    token = (pod.stage.secrets / secret["name"] / secret["key"]).read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/plain"}
    answer = ask(pod, endpoint["path"], **headers)
    assert answer.status == 200
    assert b"blockdb_cluster_has_leader 1" in answer.body
    assert ask(pod, "/api/v1/backup", **headers).status == 403


def test_the_job_makes_a_backup_that_is_whole(cluster: list[Pod]) -> None:
    with connected(cluster) as database:
        database.put(b"in the backup", b"yes")
    here = cluster[0].stage
    template = named(here.objects, "CronJob", "blockdb-backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    job = Pod(here, "blockdb-backup", template, [])
    old = job.mounts["/backups"] / "blockdb-20200101T000000Z.tar.zst"
    old.touch()
    subprocess.run(["touch", "-d", "2020-01-01", str(old)], check=True)
    job.begin()
    assert job.process is not None
    assert job.process.wait(60) == 0, job.log()
    [backup] = job.mounts["/backups"].iterdir()
    into = job.directory / "restored"
    with backup.open("rb") as stream:
        assert blockdb.restore(stream, into).report.valid
    with blockdb.open(into, read_only=True) as database:
        assert database.get(b"in the backup") == b"yes"


class Writer(Thread):
    """Somebody who writes all the time, and notes what was acknowledged."""

    def __init__(self, pods: list[Pod], prefix: str) -> None:
        super().__init__()
        self.acknowledged: list[bytes] = []
        self.error: BaseException | None = None
        self._pods, self._prefix, self._enough = pods, prefix, Event()

    def run(self) -> None:
        try:
            with connected(self._pods) as database:
                for number in count():
                    if self._enough.is_set():
                        return
                    key = f"{self._prefix}:{number}".encode()
                    database.put(key, key)
                    self.acknowledged.append(key)
        except BaseException as error:
            self.error = error

    def more(self, many: int) -> None:
        """Until so many more were acknowledged."""
        wanted = len(self.acknowledged) + many
        while len(self.acknowledged) < wanted:
            assert not self._enough.wait(0.02)
            assert self.is_alive(), self.error

    def __enter__(self) -> Writer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join(120)


@pytest.mark.parametrize("restarts", tiers([1], [12]))
def test_a_rolling_restart_loses_nothing(cluster: list[Pod], restarts: int) -> None:
    """The highest first, each ready again before the next: as a StatefulSet does it, while somebody writes."""
    with Writer(cluster, f"rolling-{restarts}") as writer:
        for pod in islice(cycle(reversed(cluster)), restarts):
            writer.more(5)
            taken_s = pod.stop()
            assert taken_s < pod.template["terminationGracePeriodSeconds"] - 10
            pod.begin()
            pod.wait_for("readinessProbe")
        writer.more(5)
    assert writer.error is None
    for pod in cluster:
        with connected([pod]) as database:
            assert all(database.get(key) == key for key in writer.acknowledged)


@pytest.mark.torture
def test_a_disk_that_was_lost(cluster: list[Pod]) -> None:
    """The claim and the pod are deleted: the node comes back empty under its name."""
    pod = cluster[1]
    with connected(cluster) as database:
        database.put(b"before the loss", b"yes")
    pod.kill()
    rmtree(pod.mounts["/var/lib/blockdb"] / "data")
    pod.begin()
    pod.wait_for("readinessProbe")
    with connected([pod]) as database:
        assert database.get(b"before the loss") == b"yes"
        assert database.cluster.state().health == "healthy"


@pytest.mark.torture
def test_one_more_node_joins_by_the_same_configuration_and_leaves(cluster: list[Pod], made: Path) -> None:
    make(made / "tls", (), cluster="blockdb", nodes=["blockdb-3"])
    here = cluster[0].stage
    for name in ("node-blockdb-3.crt", "node-blockdb-3.key"):
        (here.secrets / "blockdb-peer-tls" / name).write_bytes((made / "tls" / name).read_bytes())
    three, four = ({f"blockdb-{number}" for number in range(count)} for count in (3, 4))
    for turn in range(2):
        with running([here.pod(3)]) as (pod,), connected(cluster) as database:
            assert {each.id for each in database.cluster.state().members} == four
            with connected([pod]) as joined:
                joined.put(b"by the fourth, %d" % turn, b"yes")
            database.cluster.remove("blockdb-3")
            assert {each.id for each in database.cluster.state().members} == three
            assert database.get(b"by the fourth, %d" % turn) == b"yes"
        rmtree(pod.mounts["/var/lib/blockdb"] / "data")  # its claim is deleted, as the guide says


@pytest.mark.torture
def test_one_alone(made: Path, tmp_path: Path) -> None:
    """Without peers and their certificates."""
    with stage(made, tmp_path, "single") as here:
        pod = here.pod(0)
        pod.mounts["/etc/blockdb/peer-tls"] = tmp_path / "nothing"
        with running([pod]):
            with connected([pod]) as database:
                database.put(b"k", b"v")
            assert pod.probe("livenessProbe") == 200
            pod.stop()
            pod.begin()
            pod.wait_for("readinessProbe")
            with connected([pod]) as database:
                assert database.get(b"k") == b"v"


@pytest.mark.torture
def test_all_are_told_to_end_at_the_same_time(made: Path, tmp_path: Path) -> None:
    """As when the whole is scaled to nothing: each ends in order, though none can hand over any more."""
    with stage(made, tmp_path) as here:
        pods = [here.pod(number) for number in range(3)]
        with running(pods), ThreadPoolExecutor() as threads:
            most: Any = max(threads.map(Pod.stop, pods))
            assert most < here.spec()["template"]["spec"]["terminationGracePeriodSeconds"] - 10
