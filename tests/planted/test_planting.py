"""The runner itself: it must notice a bug that is not found, and not take a broken change for a found one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted.planting import ROOT, Bug, Outcome, planted, try_bug

SIGNATURE = ("tests/ledger/test_signature.py::test_a_key_is_a_function_of_its_seed",)
HARMLESS = Bug(
    "blockdb/ledger/signature.py",
    '"""The first eight bytes of the SHA-256 of a public key: which key signed."""',
    '"""Which key signed."""',
    SIGNATURE,
    "No bug at all: the canary that no test finds.",
)
SENSELESS = HARMLESS._replace(old="SEED_BYTES: Final = 32", new="SEED_BYTES: Final = nothing")


@pytest.mark.torture
def test_a_bug_that_is_not_found_is_noticed(house: Path) -> None:
    source = (ROOT / HARMLESS.file).read_text()
    outcome = try_bug(house, HARMLESS)
    assert outcome.passed, outcome.words
    assert not outcome.found_a_bug
    assert (ROOT / HARMLESS.file).read_text() == source, "only the copy is changed"
    assert (house / HARMLESS.file).read_text() == source, "and that is as before"


@pytest.mark.torture
def test_a_change_that_cannot_be_imported_is_not_found(house: Path) -> None:
    outcome = try_bug(house, SENSELESS)
    assert "NameError" in outcome.words
    assert not outcome.passed
    assert not outcome.found_a_bug


@pytest.mark.torture
def test_a_test_that_does_not_exist_finds_nothing(house: Path) -> None:
    outcome = try_bug(house, HARMLESS._replace(tests=("tests/ledger/test_signature.py::test_nothing",)))
    assert not outcome.passed
    assert not outcome.found_a_bug


@pytest.mark.parametrize(
    ("code", "words", "found"),
    [
        (1, "E   assert 1 == 2\nFAILED tests/some.py::test - assert 1 == 2\n", True),
        (1, "E   NameError: name 'x' is not defined\nFAILED tests/some.py::test - NameError\n", False),
        (1, "E   Failed: Timeout (>60.0s) from pytest-timeout.\nFAILED tests/some.py::test - Failed\n", False),
        (1, "E   FileNotFoundError: No such file: '/x/house/docs/API.md'\nFAILED tests/some.py::test\n", False),
        (1, "E   FileNotFoundError: No such file: '/x/house/tmp/db/chain'\nFAILED tests/some.py::test\n", True),
        (1, "[XPASS(strict)] it is not mended yet\nFAILED tests/some.py::test\n", False),
        (1, "E   OSError: no room\nERROR tests/some.py::test - OSError: no room\n", False),
        (2, "E   assert 1 == 2\nFAILED tests/some.py::test - assert 1 == 2\n", False),
        (0, "1 passed in 0.01s\n", False),
        (-9, "the tests did not end", False),
    ],
)
def test_only_a_test_that_failed_has_found_a_bug(code: int, words: str, found: bool) -> None:
    assert Outcome(code, words).found_a_bug is found


@pytest.mark.parametrize("source", ["", "a = 1\na = 1\n", "b = 1\n"])
def test_a_bug_has_one_place(source: str) -> None:
    with pytest.raises(ValueError, match="should once"):
        planted(source, HARMLESS._replace(old="a = 1", new="a = 2"))


def test_a_bug_is_python() -> None:
    with pytest.raises(SyntaxError):
        planted("a = 1\n", HARMLESS._replace(old="a = 1", new="a = "))
