"""Help as pages of a manual: on the screen, and as roff."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.commands.command import Where
from blockdb.commands.manual import main, pages, roff
from blockdb.commands.pages import page, related
from blockdb.commands.table import commands, find

from .conftest import Run

TITLES = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMON OPTIONS", "EXAMPLES", "EXIT STATUS", "SEE ALSO"]


def test_a_page_has_the_sections_of_a_manual(run: Run) -> None:
    titles = [line for line in run("help", "verify").text.splitlines() if line[:1].isupper()]
    assert [title for title in titles if title != "ARGUMENTS"] == TITLES
    assert "EXIT STATUS" not in {section.title for section in page(find("verify", Where.SHELL), Where.SHELL)}
    assert {"put", "scan"} <= {it.name for it in related(find("get", Where.SHELL), Where.SHELL)}
    assert all(
        it.name.startswith("token ") for it in related(find("token list", Where.COMMAND_LINE), Where.COMMAND_LINE)
    )


def test_every_command_has_a_page_that_holds_together() -> None:
    found = dict(pages())
    assert len(found) == len(commands()) + 1
    for name, text in found.items():
        for line in text.splitlines():
            assert line.isascii() or not line.startswith("."), (name, line)
            assert re.match(r"\.(TH|SH|PP|TP|RS|RE|nf|fi|nh|ad)\b|[^.']", line), (name, line)
        for other in re.findall(r"blockdb(?:\\-\w+)+\(1\)", text):
            assert f"{other[:-3]}.1".replace("\\", "") in found


@given(st.text())
def test_no_text_is_taken_for_a_request(text: str) -> None:
    escaped = roff(text)
    assert "\n" not in escaped
    assert not escaped.startswith((".", "'"))
    assert not re.search(r"\\(?!\(rs|\(aq|\(ga|\(ha|\(ti|\(dq|-|&)", escaped)


def test_the_generator_writes_them_and_says_what_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "man1" / "blockdb-collection-list.1").exists()
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "file")]) == 1
    assert main([]) == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.torture
def test_groff_takes_every_page_without_a_word(tmp_path: Path) -> None:
    """Needs groff: `apt-get install groff-base`."""
    groff = shutil.which("groff")
    assert groff is not None
    assert main([str(tmp_path)]) == 0
    for path in sorted((tmp_path / "man1").iterdir()):
        ran = subprocess.run([groff, "-ww", "-man", "-Tutf8", path], capture_output=True, text=True, check=True)
        assert ran.stderr == "", path.name
        assert "SYNOPSIS" in re.sub(".\b", "", ran.stdout)
