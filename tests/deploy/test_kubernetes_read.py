"""The Kubernetes manifests, read: what the schemas say, and that the parts fit each other and the product."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from blockdb.config import ServerConfig, Sources
from blockdb.security.exposure import check_exposure
from tests.deploy.manifests import KUBERNETES, ROOT, Object, named, rendered
from tests.deploy.pods import HTTPS, PEERS, image

KUSTOMIZATIONS = ("base", "single", "example")
FOREIGN = "monitoring.coreos.com/v1"
"""What the Prometheus operator brings along, which has no schema here."""
VERSIONS = ("1.30", "1.37")
LABEL = {"app.kubernetes.io/name": "blockdb"}


@cache
def _rendered(name: str) -> list[Object]:
    return rendered(KUBERNETES / name)


def template(name: str) -> Object:
    found: Object = named(_rendered(name), "StatefulSet", "blockdb")["spec"]["template"]["spec"]
    return found


def pod_specs(name: str) -> list[Object]:
    found = [template(name)]
    for each in _rendered(name):
        if each["kind"] == "CronJob":
            found.append(each["spec"]["jobTemplate"]["spec"]["template"]["spec"])
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_each_object_is_as_its_schema_says(name: str, version: str) -> None:
    import kubernetes_validate  # here: it is large, and for this alone

    for each in _rendered(name):
        if each["apiVersion"] != FOREIGN:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")
@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_kustomize_puts_together_what_is_tested_here(name: str) -> None:
    told = subprocess.run(["kubectl", "kustomize", str(KUBERNETES / name)], capture_output=True, text=True, check=True)
    plain = re.sub(r"\bblockdb-[0-9a-z]{10}$", "blockdb", told.stdout, flags=re.MULTILINE)  # generated names
    plain = re.sub(r"^( *)image: blockdb:latest$", r"\1image: blockdb", plain, flags=re.MULTILINE)
    found = [_without_namespace(each) for each in yaml.safe_load_all(plain)]
    key = lambda each: (each["kind"], each["metadata"]["name"])  # noqa: E731
    assert sorted(found, key=key) == sorted(_rendered(name), key=key)


def _without_namespace(each: Object) -> Object:
    each["metadata"].pop("namespace", None)
    return each


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_nothing_runs_with_more_rights_than_it_needs(name: str) -> None:
    user = image()["USER"][0].partition(":")[0]
    for spec in pod_specs(name):
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False, "variables of services begin with BLOCKDB_ too"
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert str(spec["securityContext"]["runAsUser"]) == user
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/tmp"}


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_the_configuration_is_one_and_may_listen(name: str, tmp_path: Path) -> None:
    text = named(_rendered(name), "ConfigMap", "blockdb")["data"]["blockdb.toml"]
    (tmp_path / "blockdb.toml").write_text(text)
    environ = {each["name"]: each.get("value", "blockdb-0") for each in template(name)["containers"][0]["env"]}
    environ = {key: value.replace("$(BLOCKDB_CLUSTER_NODE_ID)", "blockdb-0") for key, value in environ.items()}
    sources = Sources(tmp_path / "blockdb.toml", environ)
    assert sources.problems() == []
    config = sources.config()
    check_exposure(config.server.host, has_tokens=True, has_tls=bool(config.security.tls_certificate))
    assert config.cluster.is_cluster is (name != "single")
    assert config.cluster.own_entry == ("" if name == "single" else f"blockdb-0:{config.cluster.advertise}:{HTTPS}")
    mounts = [mount["mountPath"] for mount in template(name)["containers"][0]["volumeMounts"]]
    for path in _paths(config):
        assert any(Path(path).is_relative_to(mount) for mount in mounts), path


def _paths(config: Any) -> list[str]:
    security, cluster = config.security, config.cluster
    files = (cluster.peer_certificate, cluster.peer_key, cluster.peer_ca)
    return [config.database.data_dir, security.tls_certificate, security.tls_key, security.tokens_file, *files]


def test_volumes_that_are_mounted_are_there() -> None:
    claims = {"data"}
    for spec in pod_specs("example"):
        volumes = {each["name"] for each in spec["volumes"]} | claims
        for container in spec["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    claimed = named(_rendered("example"), "PersistentVolumeClaim", "blockdb-backups")
    assert claimed["metadata"]["name"] in json.dumps(pod_specs("example"))


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_ports_and_names_fit_each_other(name: str) -> None:
    objects = _rendered(name)
    [container] = template(name)["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"https": HTTPS, "peers": PEERS}
    assert image()["EXPOSE"] == [f"{HTTPS} {PEERS}"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    for each in objects:
        if each["kind"] == "Service":
            assert each["spec"]["selector"] == LABEL
            for port in each["spec"]["ports"]:
                assert ports[port["targetPort"]] == port["port"]
        if each["kind"] == "NetworkPolicy":
            for rule in (*each["spec"]["ingress"], *each["spec"]["egress"]):
                assert all(port["port"] in ports or port["port"] == 53 for port in rule["ports"])
    stateful = named(objects, "StatefulSet", "blockdb")["spec"]
    headless = named(objects, "Service", stateful["serviceName"])["spec"]
    assert headless["clusterIP"] == "None"
    assert headless["publishNotReadyAddresses"] is True
    assert stateful["podManagementPolicy"] == "Parallel"
    assert stateful["template"]["metadata"]["labels"] == stateful["selector"]["matchLabels"] == LABEL


def test_one_alone_keeps_nothing_of_the_cluster() -> None:
    objects = _rendered("single")
    assert named(objects, "StatefulSet", "blockdb")["spec"]["replicas"] == 1
    assert "PodDisruptionBudget" not in {each["kind"] for each in objects}
    assert "[cluster]" not in named(objects, "ConfigMap", "blockdb")["data"]["blockdb.toml"]


def test_it_has_time_to_end() -> None:
    """Before it is killed: the pause before SIGTERM, what was begun, and as much again for handing over and closing."""
    [container] = template("base")["containers"]
    pause_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert "shutdown_timeout" not in (KUBERNETES / "base" / "blockdb.toml").read_text()
    shutdown_s = ServerConfig().shutdown_timeout
    assert template("base")["terminationGracePeriodSeconds"] >= pause_s + 4 * shutdown_s


def test_the_monitor_finds_each_node() -> None:
    objects = _rendered("example")
    monitor = named(objects, "ServiceMonitor", "blockdb")["spec"]
    [service] = [
        each
        for each in objects
        if each["kind"] == "Service"
        and monitor["selector"]["matchLabels"].items() <= each["metadata"]["labels"].items()
    ]
    assert service["spec"]["clusterIP"] == "None"
    [endpoint] = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    job = service["metadata"]["labels"][monitor["jobLabel"]]
    assert f'up{{job="{job}"}}' in (ROOT / "deploy" / "prometheus-alerts.yml").read_text()
