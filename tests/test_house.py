"""The walls of the house: who imports whom, what is packaged, what is documented, what must not be in the tree."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = {"blockdb": "blockdb", "blockdb_repl": "repl", "blockdb_tui": "tui", "blockdb_themes": "themes"}
MODULES = [path for folder in FOLDERS.values() for path in sorted((ROOT / folder).rglob("*.py"))]

MAX_MODULE_LINES = 400

# What `blockdb --version` may bring in beyond a bare interpreter: the parser of arguments and a few modules of ours.
MAX_VERSION_MODULES = 40
HEAVY = {"asyncio", "nacl", "numpy", "prompt_toolkit", "pygments", "rbloom", "rich", "sortedcontainers", "textual"}


def tracked_files() -> list[Path]:
    """What git has or would take; nothing that is ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    return [path for name in listing.decode().split("\0") if name and (path := ROOT / name).is_file()]


# ── imports ──────────────────────────────────────────────────────────────────────────────────────────────────────


def lint_imports(cwd: Path) -> tuple[int, str]:
    command = [
        Path(sys.executable).with_name("lint-imports"),
        "--no-logo",
        "--no-cache",
        "--config",
        ROOT / "pyproject.toml",
    ]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


def test_imports_point_down() -> None:
    code, words = lint_imports(ROOT)
    assert code == 0, words


ROOMS = [
    "alerts",
    "audit",
    "client",
    "cluster",
    "commands",
    "config",
    "database",
    "documents",
    "errors",
    "format",
    "interface",
    "layout",
    "ledger",
    "locking",
    "lsm",
    "machine",
    "masterkey",
    "nodes",
    "process",
    "query",
    "raft",
    "scratch",
    "security",
    "server",
    "serving",
    "settings",
    "statistics",
    "storage",
    "tampering",
    "types",
    "wire",
    "witness",
]
BROKEN_WALLS = {
    "blockdb/format/broken.py": "import blockdb.ledger",
    "blockdb/ledger/broken.py": "import blockdb.lsm",
    "blockdb/documents/broken.py": "import blockdb.query",
    "blockdb/locking/broken.py": "import threading",
    "blockdb/query/broken.py": "import blockdb.storage",
    "blockdb/lsm/broken.py": "def late():\n    from time import monotonic",
    "blockdb/storage/broken.py": "import blockdb.audit",
    "blockdb/audit/broken.py": "import blockdb.lsm",
    "blockdb/witness/broken.py": "import blockdb.database",
    "blockdb/security/broken.py": "import blockdb.config",
    "blockdb/wire/broken.py": "import blockdb.storage",
    "blockdb/client/broken.py": "import blockdb.database",
    "blockdb/server/broken.py": "import blockdb.client",
    "blockdb/serving/broken.py": "import blockdb.witness",
    "blockdb/database/broken.py": "import blockdb.commands",
    "blockdb/raft/broken.py": "import blockdb.storage",
    "blockdb/cluster/broken.py": "import blockdb.server",
    "blockdb/tampering/broken.py": "import blockdb.commands",
    "blockdb/commands/broken.py": "import blockdb_tui",
    "blockdb/errors/broken.py": "import blockdb.config",
    "blockdb_tui/broken.py": "import blockdb_repl",
    "blockdb_repl/broken.py": "from blockdb.storage import engine",
    "blockdb_themes/broken.py": "import blockdb",
}


def test_the_contract_sees_every_broken_wall(tmp_path: Path) -> None:
    """The contract is tried on a model of the house in which each room breaks its rule."""
    for package in [*FOLDERS, *(f"blockdb/{room}" for room in ROOMS)]:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    for path, source in BROKEN_WALLS.items():
        (tmp_path / path).write_text(source)

    code, words = lint_imports(tmp_path)

    assert code == 1
    for path, source in BROKEN_WALLS.items():
        importer = path.removesuffix(".py").replace("/", ".")
        imported = re.search(r"(?:import|from) (\S+)", source)
        assert imported is not None
        assert re.search(rf"{re.escape(importer)} -> {re.escape(imported[1])}", words), words


def test_asking_for_the_version_imports_little() -> None:
    program = (
        "import sys; bare = set(sys.modules); sys.argv = ['blockdb', '--version']\n"
        "from blockdb.commands.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sorted(set(sys.modules) - bare))"
    )
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    imported = answer.splitlines()[-1].split()
    assert "blockdb" in imported
    assert not HEAVY & {name.partition(".")[0] for name in imported}
    assert len(imported) <= MAX_VERSION_MODULES, imported


# ── packaging ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_wheel_has_everything(tmp_path: Path) -> None:
    source = tmp_path / "source"
    wanted = set()
    for path in tracked_files():
        place = path.relative_to(ROOT)
        target = source / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        for package, folder in FOLDERS.items():
            if place.parts[0] == folder:
                wanted.add(str(Path(package, *place.parts[1:])))

    program = f"from setuptools import build_meta; build_meta.build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], cwd=source, check=True, capture_output=True)

    [wheel] = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    assert wanted <= packed, sorted(wanted - packed)
    assert {name.partition("/")[0] for name in packed if ".dist-info" not in name} == set(FOLDERS)


def requirements(name: str, extras: frozenset[str] = frozenset()) -> Iterator[Requirement]:
    """What an installed distribution needs here, with these extras."""
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        environments: list[dict[str, str]] = [{"extra": extra} for extra in extras or {""}]
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
            yield requirement


def test_every_version_that_tests_use_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {canonicalize_name(Requirement(line).name) for line in lines if line and not line.startswith("#")}
    extras = PROJECT["project"]["optional-dependencies"]
    needed = {canonicalize_name(Requirement(line).name) for line in extras["bench"]}
    waiting = list(requirements("blockdb", frozenset({"dev"})))
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in needed:
            needed.add(name)
            waiting.extend(requirements(requirement.name, frozenset(requirement.extras)))
    assert needed - {"blockdb"} <= pinned, sorted(needed - pinned)


def test_make_says_which_python_it_needs(tmp_path: Path) -> None:
    command = ["make", "PYTHON=false", f"VENV={tmp_path / 'venv'}", "test"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "BlockDB needs Python 3.11 or newer" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_style_and_types_are_strict() -> None:
    assert PROJECT["tool"]["mypy"]["strict"] is True
    assert {"B", "D", "E", "F", "I", "UP"} <= set(PROJECT["tool"]["ruff"]["lint"]["select"])
    assert PROJECT["tool"]["ruff"]["line-length"] == 120


# ── the tree ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_everything_public_has_a_docstring() -> None:
    command = [
        Path(sys.executable).with_name("ruff"),
        "check",
        "--no-cache",
        "--select",
        "D100,D101,D102,D103,D104",
        *FOLDERS.values(),
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_modules_are_small() -> None:
    lengths = {path.relative_to(ROOT): path.read_bytes().count(b"\n") for path in MODULES}
    assert {path: length for path, length in lengths.items() if length > MAX_MODULE_LINES} == {}


def test_nothing_in_the_tree_knows_a_machine_or_an_index() -> None:
    # The brackets keep this file from finding itself.
    forbidden = re.compile(rb"/wor[k]/|/roo[t]/|/hom[e]/|/tmp/buil[d]|/op[t]/|index[-]url|find[-]links|pypi[.]org")
    found = [(path, match[0]) for path in tracked_files() if (match := forbidden.search(path.read_bytes()))]
    assert found == []
