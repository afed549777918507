"""Every command in the README works: its fenced blocks are run, section by section, as a reader would.

The blocks of one `##` section run in order in one empty directory; tests/fenced.py has the rules.
"""

import itertools
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pexpect
import pyte
import pytest

from tests.fenced import BIN, PATIENCE_S, RUNNERS, blocks, run
from tests.tiers import tiers

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
# ── the README ───────────────────────────────────────────────────────────────────────────────────────────────────

DOCUMENT = README.read_text() if README.exists() else ""
BLOCKS = list(blocks(DOCUMENT))
SECTIONS = {name: list(group) for name, group in itertools.groupby((b for b in BLOCKS if b.runs), lambda b: b.section)}
DAILY = ["In Python", "Documents", "As a server"]
"""The sections that are tried with every change; `.ci/run` tries all of them."""


@pytest.mark.parametrize("section", tiers(DAILY, [name for name in SECTIONS if name not in DAILY]))
def test_the_commands_of_a_section_work(section: str, tmp_path: Path) -> None:
    for block in SECTIONS[section]:
        try:
            RUNNERS[block.language](block.text, tmp_path)
        except AssertionError as error:
            pytest.fail(f"README.md, line {block.line}: {error}")


def test_every_block_says_what_it_is() -> None:
    assert BLOCKS
    assert [block.line for block in BLOCKS if not block.language] == []


def test_make_knows_every_target_that_is_named() -> None:
    targets = set(re.findall(r"^(?:\$ )?make ([a-z]+)", "\n".join(block.text for block in BLOCKS), re.MULTILINE))
    assert {"demo", "test"} <= targets
    for target in targets:
        dry = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert dry.returncode == 0, dry.stderr


def test_the_demo_paints_records_and_quits(tmp_path: Path) -> None:
    """What `make demo` runs, in a terminal of the smallest size that is promised."""
    environment = os.environ | {"TERM": "xterm-256color", "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    terminal = pyte.Screen(80, 24)
    stream = pyte.ByteStream(terminal)
    demo = pexpect.spawn(
        str(BIN / "blockdb-tui"), ["--demo"], cwd=str(ROOT), env=environment, dimensions=(24, 80), timeout=PATIENCE_S
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        for shown, key in ((r"payments +\d", "1"), (r"commit:|trade:", "q")):
            while not re.search(shown, "\n".join(terminal.display)):
                assert time.monotonic() < deadline, "\n".join(terminal.display)
                stream.feed(demo.read_nonblocking(65_536, timeout=PATIENCE_S))
            demo.send(key)
        demo.expect(pexpect.EOF)
        demo.wait()
        assert demo.exitstatus == 0
        assert list(tmp_path.glob("blockdb-demo-*")) == []
    finally:
        demo.close(force=True)


# ── the extractor itself ─────────────────────────────────────────────────────────────────────────────────────────

SAMPLE = """\
# Title

```text
only shown
```

## First

```sh
echo one   # not a heading:
## First
```

<!-- not run: it opens a window -->

```sh
exit 1
```

## Second

1. Indented:

   ```python
   print("two")
   ```
"""


def test_blocks_are_found_with_section_line_and_mark() -> None:
    found = [(b.section, b.line, b.language, b.runs) for b in blocks(SAMPLE)]
    assert found == [
        ("", 3, "text", False),
        ("First", 9, "sh", True),
        ("First", 16, "sh", False),
        ("Second", 24, "python", True),
    ]


def test_a_mark_needs_a_reason_and_covers_one_block() -> None:
    bare = "<!-- not run: -->\n```sh\nfalse\n```\n"
    twice = "<!-- not run: slow -->\n```sh\n```\n```sh\n```\n"
    assert [block.runs for block in blocks(bare)] == [True]
    assert [block.runs for block in blocks(twice)] == [False, True]


GOOD = {
    "sh": "printf 'a\\n' > file\ngrep -q a file",
    "python": "import blockdb\nassert blockdb.__version__",
    "console": "$ echo one; echo two >&2\none\ntwo\n$ echo 12 records in 3 ms\n12 records in ... ms\n$ true",
}
BAD = {
    "sh": "false | true\necho not reached",
    "python": "raise SystemExit(1)",
    "console": "$ echo one\ntwo",
}


@pytest.mark.parametrize("language", GOOD)
def test_a_good_block_passes_and_a_bad_one_fails(language: str, tmp_path: Path) -> None:
    RUNNERS[language](GOOD[language], tmp_path)
    with pytest.raises(AssertionError):
        RUNNERS[language](BAD[language], tmp_path)


def test_blocks_find_the_installed_commands(tmp_path: Path) -> None:
    assert run(["sh", "-c", "command -v blockdb"], tmp_path).stdout.strip() == shutil.which("blockdb", path=str(BIN))
