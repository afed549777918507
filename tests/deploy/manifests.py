"""The Kubernetes manifests as kustomize puts them together: as much of it as they use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

__all__ = ["KUBERNETES", "Object", "named", "rendered"]

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"

Object = dict[str, Any]

KNOWN = {
    "apiVersion",
    "components",
    "configMapGenerator",
    "images",
    "kind",
    "namespace",
    "patches",
    "replicas",
    "resources",
}


def rendered(directory: Path) -> list[Object]:
    """All objects of a kustomization. Generated names have no hash, and objects no namespace."""
    [told] = _documents(directory / "kustomization.yaml")
    assert told.keys() <= KNOWN, told.keys() - KNOWN
    objects: list[Object] = []
    for place in (*told.get("resources", ()), *told.get("components", ())):
        path = (directory / place).resolve()
        objects += rendered(path) if path.is_dir() else _documents(path)
    for made in told.get("configMapGenerator", ()):
        data = {name: (directory / name).read_text() for name in made["files"]}
        objects = [each for each in objects if (each["kind"], each["metadata"]["name"]) != ("ConfigMap", made["name"])]
        objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": made["name"]}, "data": data})
    for wanted in told.get("replicas", ()):
        named(objects, "StatefulSet", wanted["name"])["spec"]["replicas"] = wanted["count"]
    for patch in told.get("patches", ()):
        objects = _patched(objects, patch)
    return objects


def named(objects: list[Object], kind: str, name: str) -> Object:
    [found] = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def _documents(path: Path) -> list[Object]:
    return list(yaml.safe_load_all(path.read_text()))


def _patched(objects: list[Object], patch: Object) -> list[Object]:
    what = yaml.safe_load(patch["patch"])
    if isinstance(what, dict):
        assert what["$patch"] == "delete", what
        gone = named(objects, what["kind"], what["metadata"]["name"])
        return [each for each in objects if each is not gone]
    target = named(objects, patch["target"]["kind"], patch["target"]["name"])
    for step in what:
        assert step["op"] == "replace", step
        *way, last = [int(part) if part.isdigit() else part for part in step["path"].strip("/").split("/")]
        place: Any = target
        for part in way:
            place = place[part]
        assert place[last] is not None
        place[last] = step["value"]
    return objects
