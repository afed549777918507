"""What of kubectl the guides use: `python kubectl.py STATE WORDS...`. Secrets become directories of files."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

OTHERS = (
    r"create namespace [a-z-]+",
    r"config set-context --current --namespace [a-z-]+",
    r"rollout (status|restart) statefulset/blockdb",
    r"scale statefulset/blockdb --replicas [0-9]",
    r"delete (pod|pvc) [a-z0-9-]+",
)
"""Commands that change nothing that is looked at here."""


def secret(state: Path, name: str, *given: str) -> None:
    directory = state / "secrets" / name
    directory.mkdir(parents=True)
    for each in given:
        flag, _, what = each.partition("=")
        key, _, file = what.rpartition("=")
        assert flag == "--from-file", each
        shutil.copyfile(file, directory / (key or Path(file).name))


def main(state: Path, words: list[str]) -> None:
    match words:
        case ["create", "secret", "generic", name, *given]:
            secret(state, name, *given)
        case ["apply", "-k", directory]:
            assert (Path(directory) / "kustomization.yaml").is_file(), directory
        case _:
            assert any(re.fullmatch(each, " ".join(words)) for each in OTHERS), words


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
