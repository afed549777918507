"""Bugs that Raft implementations really had, planted one at a time; each has to be found by some seed.

`python -m tests.simulation.planted` prints how many seeds each took. The bugs stand in `tests/planted/raft_room.py`;
here they are put into the modules as they are imported, by a process of their own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Final

from tests.planted.planting import ROOT, Bug, planted
from tests.planted.raft_room import RAFT

MAX_SEEDS: Final = 20_000


class _Loader(SourceFileLoader):
    """Loads a module with a bug in it."""

    bug: Bug

    def get_code(self, fullname: str) -> CodeType:
        """What the module would be with the bug."""
        source = planted((ROOT / self.bug.file).read_text(), self.bug)
        return compile(source, self.path, "exec", dont_inherit=True)


class Planter(MetaPathFinder):
    """Finds the one module that gets a bug."""

    def __init__(self, bug: Bug) -> None:
        self._bug = bug
        self._module = bug.file.removesuffix(".py").replace("/", ".")

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Where that module comes from; None for all others."""
        if name != self._module:
            return None
        spec = PathFinder.find_spec(name, path)
        assert spec is not None
        assert spec.origin is not None
        loader = _Loader(name, spec.origin)
        loader.bug, spec.loader = self._bug, loader
        return spec


def hunt(name: str, seeds: range) -> str:
    """Run seeds with a bug in this process, which has not imported what gets it; say what the first to see it saw."""
    sys.meta_path.insert(0, Planter(RAFT[name]))
    from tests.simulation.many import outcomes

    for outcome in outcomes(seeds):
        if outcome.wrong:
            return f"{outcome.seed - seeds.start + 1:6,}  {name:34} {outcome.wrong.splitlines()[0][:110]}"
    return f"  NONE  {name:34} not found in {len(seeds):,} seeds"


def _in_a_process(name: str, arguments: argparse.Namespace) -> str:
    command = [sys.executable, "-m", "tests.simulation.planted", "--here", name]
    command += ["--seeds", str(arguments.seeds), "--first", str(arguments.first)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return process.stdout.rstrip("\n") or f"BROKEN  {name}\n{process.stderr}"


def main() -> int:
    """Hunt for all bugs, or for those that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.planted", description=__doc__)
    parser.add_argument("names", nargs="*", help="which bugs (all)")
    parser.add_argument("--seeds", type=int, default=MAX_SEEDS, help=f"after how many to give up ({MAX_SEEDS})")
    parser.add_argument("--first", type=int, default=0, help="which to begin with (0)")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes to use (1)")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(hunt(arguments.here, range(arguments.first, arguments.first + arguments.seeds)))
        return 0
    print(" seeds  bug                                what was seen")
    found = True
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for line in pool.map(lambda name: _in_a_process(name, arguments), arguments.names or RAFT):
            print(line, flush=True)
            found = found and line.lstrip()[0].isdigit()
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
