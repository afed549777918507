"""The guides: their commands work, their links lead somewhere, and no error of the product is missing."""

from __future__ import annotations

import importlib
import itertools
import json
import pkgutil
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import pytest

import blockdb
from blockdb import errors
from blockdb.errors import BlockDBError
from tests.deploy.pods import fake_programs
from tests.fenced import BIN, RUNNERS, Block, blocks
from tests.tiers import tiers

DOCS = Path(__file__).parent.parent / "docs"
GUIDES = ["README.md", "DEPLOYMENT.md", "TROUBLESHOOTING.md", "TUNING.md"]
MOST_BYTES = 8 * 1024

NOT_MET = {
    "BlockDBError": "the family",
    "BlockNotFound": "an answer to what was asked",
    "CannotOpen": "the command line's cover for what is told under its own name",
    "CollectionNotFound": "an answer to what was asked",
    "DuplicateCollection": "an answer to what was asked",
    "DuplicateIndex": "an answer to what was asked",
    "IndexNotFound": "an answer to what was asked",
    "IoError": "a file that the command line was given; the message says all",
    "KeyNotFound": "an answer to what was asked",
    "MethodNotAllowed": "of HTTP, to who writes a client",
    "NotFound": "of HTTP, to who writes a client",
    "QueryError": "it shows the place in the filter",
    "UsageError": "it says how the line should be",
    "Blocked": "inside a node: it is waited for",
    "Broken": "inside a node: told as damage of its log",
    "Crossed": "inside a node: told as Deadlock",
    "NotLeader": "inside a node: another one is asked",
    "TooMuch": "inside a node: told as Unavailable",
}
"""Errors that need no guide, and why."""


def sections() -> list[tuple[str, str]]:
    """Each section of each guide that has something to run."""
    return [(guide, name) for guide in GUIDES for name, _ in _sections(guide)]


def _sections(guide: str) -> list[tuple[str, list[Block]]]:
    running = (block for block in blocks((DOCS / guide).read_text()) if block.runs)
    return [(name, list(group)) for name, group in itertools.groupby(running, lambda block: block.section)]


def a_survivor(directory: Path) -> None:
    """The directory of a node that has stored something, which does not run any more."""
    command = [
        BIN / "blockdb",
        "server",
        "-d",
        directory / "survivor",
        "--cluster-id",
        "n1",
        "--bootstrap",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3]
        with blockdb.connect(url) as database:
            database.put(b"user:1001", b"John Doe")
        process.terminate()


BEFORE: dict[tuple[str, str], Callable[[Path], None]] = {("TROUBLESHOOTING.md", "In a cluster"): a_survivor}
"""What is there before the commands of a section are given."""
DAILY = [("DEPLOYMENT.md", "One machine")]
"""What is tried with every change; `.ci/run` tries all. tests/deploy gives the commands for Kubernetes anyway."""


@pytest.mark.parametrize("place", tiers(DAILY, [each for each in sections() if each not in DAILY]), ids=" ".join)
def test_the_commands_of_a_section_work(place: tuple[str, str], tmp_path: Path) -> None:
    guide, section = place
    (tmp_path / "deploy").symlink_to(DOCS.parent / "deploy")
    programs = fake_programs(tmp_path)
    BEFORE.get(place, lambda _: None)(tmp_path)
    for block in dict(_sections(guide))[section]:
        try:
            RUNNERS[block.language](block.text, tmp_path, programs)
        except AssertionError as error:
            pytest.fail(f"docs/{guide}, line {block.line}: {error}")


def test_what_is_named_is_there() -> None:
    assert set(DAILY) <= set(sections())
    assert BEFORE.keys() <= set(sections())


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _family(error: type[BlockDBError]) -> Iterator[type[BlockDBError]]:
    yield error
    for each in error.__subclasses__():
        yield from _family(each)


def test_each_error_stands_in_troubleshooting_or_needs_no_help() -> None:
    for module in pkgutil.walk_packages(blockdb.__path__, "blockdb."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    all_names = {each.__name__ for each in _family(BlockDBError) if each.__module__.startswith("blockdb")}
    told = set(re.findall(r"`([A-Z][A-Za-z]+)`", (DOCS / "TROUBLESHOOTING.md").read_text()))
    assert all_names >= set(errors.__all__) - {"Violation"}
    assert all_names - told - NOT_MET.keys() == set()
    assert NOT_MET.keys() <= all_names, "reasons for what is gone"
    assert NOT_MET.keys() & told == set()


# ── figures ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_figures_are_those_that_were_measured() -> None:
    """Each row of a table, and each number of a sentence that has no row, is in the run that the page names."""
    text = (DOCS / "TUNING.md").read_text()
    [name] = set(re.findall(r"`(benchmarks/results/\S+\.json)`", text))
    rounds = json.loads((DOCS.parent / name).read_text())["rounds"]
    seen = {line: [median(values) for values in of.values()] for line, of in rounds.items()}
    rows = re.findall(r"^\| (.+?) \| ([\d.,]+) \|$", text, re.MULTILINE)
    assert len(rows) > 10
    for line, figure in rows:
        assert _as_told(rounds[line]["BlockDB"][0], figure), line
    for sentence, line in SAID.items():
        before, after = map(re.escape, sentence.split("§"))
        figures = re.search(rf"{before}([\d,.]*\d){after}", text)
        assert figures is not None, sentence
        assert any(_as_told(value, figures[1]) for value in seen[line]), sentence


def _as_told(value: float, figure: str) -> bool:
    """Whether a figure is the value, rounded to as many places as it has."""
    plain = figure.replace(",", "")
    return round(value, len(plain.partition(".")[2])) == float(plain)


SAID = {
    "by a server § instead": "server, the same, forced",
    "§ k/s from memory": "get from memory",
    "§ k/s from tables": "get from tables, warm",
    "is read again, § k records/s": "replay of the log",
    "four tables reach § k": "scan all, four tables",
    "of one §;": "scan all, compacted",
    "in ten tables § k/s": "misses, ten tables",
    "JSON takes § bytes": "disk, JSON commits, compressed",
    "instead of about §.": "disk, no compression",
    "takes § of a put's": "sealing's share of a put, beside",
    "§ ms for a proof": "proof of a record",
    "§ to check it": "check of a receipt",
    "reaches § k records/s on both": "verify on both cores",
}
"""Sentences of the page on tuning, with § for the figure, and the line that it is of."""


# ── links ────────────────────────────────────────────────────────────────────────────────────────────────────────


def anchors(document: Path) -> set[str]:
    """The names of a document's headings in links."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("https:"):
            continue
        file, _, anchor = link.partition("#")
        place = page.parent / file if file else page
        assert place.exists(), link
        assert not anchor or anchor in anchors(place), link


@pytest.mark.parametrize("guide", GUIDES)
def test_guides_are_short(guide: str) -> None:
    assert (DOCS / guide).stat().st_size <= MOST_BYTES


def test_the_map_has_every_page() -> None:
    linked = set(re.findall(r"\]\(([A-Z_]+\.md)\)", (DOCS / "README.md").read_text()))
    assert linked == {page.name for page in DOCS.glob("*.md")} - {"README.md"}
