"""docs/verify_receipt.py, run as a stranger runs it: with a Python that does not find BlockDB."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nacl
import pytest

import blockdb
from tests.ledger import stranger
from tests.ledger.forgeries import FORGERIES, Found, world
from tests.ledger.script import PATH, script

DOCUMENT = PATH.parent / "RECEIPTS.md"
LIMIT_LINES = 120


def libraries(directory: Path, *names: str) -> Path:
    """A directory with these packages of the environment, and no other."""
    directory.mkdir()
    for package in names:
        for found in Path(nacl.__file__).parents[1].glob(f"{package}*"):
            (directory / found.name).symlink_to(found)
    return directory


def run(tmp_path: Path, text: str | bytes, *keys: str, packages: Path | None = None) -> tuple[int, str, str]:
    """Exit status, output and error output of the script on a receipt."""
    file = tmp_path / "receipt"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    command = [sys.executable, "-I", "-S", "-c", program(packages), str(PATH), str(file), *keys]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def program(packages: Path | None) -> str:
    """What runs the script: without `site`, so that nothing is found but the standard library and these packages."""
    path = [] if packages is None else [str(packages)]
    return (
        f"import runpy, sys; sys.argv = sys.argv[1:]; sys.path += {path!r}\n"
        "try:\n    import blockdb\nexcept ImportError:\n    pass\nelse:\n    sys.exit('blockdb is there')\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )


def test_it_is_short_and_stands_alone() -> None:
    source = PATH.read_text()
    assert len(source.splitlines()) <= LIMIT_LINES
    assert set(re.findall(r"^\s*(?:from|import) (\w+)", source, re.MULTILINE)) <= set(sys.stdlib_module_names) | {
        "nacl"
    }


def test_a_stranger_runs_it(tmp_path: Path) -> None:
    w, packages = world(), libraries(tmp_path / "packages", "nacl", "_cffi_backend", "cffi", "pycparser")
    for text, shown in ((w.record(), "key 15"), (w.range().text, "key 04")):
        status, output, errors = run(tmp_path, text, w.key.vkey, packages=packages)
        assert (status, errors) == (0, "")
        assert shown in output
        assert w.key.name.removeprefix("blockdb/") in output
    refused = [one for one in FORGERIES if one.found is Found.RECEIPT][::90]
    for forgery in refused:
        status, output, errors = run(tmp_path, forgery.make(w), w.key.vkey, packages=packages)
        assert (status, output) == (1, "")
        assert errors.startswith("REFUSED: ")
        assert "Traceback" not in errors
    status, output, errors = run(tmp_path, b"\xff", w.key.vkey, packages=packages)
    assert (status, output, errors[:9]) == (1, "", "REFUSED: ")
    status, output, errors = run(tmp_path, w.record(), packages=packages)
    assert (status, output) == (1, ""), "without a key nothing holds"


def test_it_says_what_it_takes(tmp_path: Path) -> None:
    status, output, errors = run(tmp_path, world().record(), world().key.vkey)
    assert (status, output) == (1, "")
    assert "pip install pynacl" in errors


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


def test_the_examples_in_the_document_hold() -> None:
    w = world()
    three = w.bodies[:3]
    note = w.note_of(three)
    made = [stranger.record_receipt(three, 1, note), stranger.run_receipt(three, 0, 2, note), w.absent().text]
    assert blocks("receipt") == made
    assert f"`{w.key.vkey}`" in DOCUMENT.read_text()
    for text in made:
        assert script().check(text, w.key.vkey)
        assert blockdb.verify_receipt(text, w.key.vkey)
    [by_hand] = blocks("python")
    exec(compile(by_hand, str(DOCUMENT), "exec"), {})


@pytest.mark.parametrize("kind", ["record", "run", "range"])
def test_redactable_records_are_checked_by_their_digests(kind: str) -> None:
    w = world()
    salted = [
        stranger.redactable(b"key %d" % n, b"secret %d" % n, 1_700_000_000_000 + n, bytes([n]) * 16) for n in range(5)
    ]
    note = w.note_of(salted)
    said = [*w.journal[:2], stranger.body(b"2", stranger.state("00112233-4455-6677-8899-aabbccddeeff", salted), 1)]
    text = {
        "record": stranger.record_receipt(salted, 3, note),
        "run": stranger.run_receipt(salted, 2, 2, note),
        "range": w.range(b"key 3", None, bodies=salted, journal=said).text,
    }[kind]
    assert blockdb.verify_receipt(text, w.key.vkey).records[-1].value in (b"secret 3", b"secret 4")
    assert "secret 3" in "\n".join(script().check(text, w.key.vkey))
    for wrong in (b"secret", b"salt"):
        other = stranger.redactable(b"key 3", b"secret 3", 1_700_000_000_003, bytes([3]) * 16)
        changed = (
            other.replace(b"secret 3", b"public 3") if wrong == b"secret" else other.replace(bytes([3]) * 16, bytes(16))
        )
        forged = text.replace(stranger.b64(salted[3]), stranger.b64(changed))
        assert forged != text
        with pytest.raises(blockdb.InvalidProof, match="digest"):
            blockdb.verify_receipt(forged, w.key.vkey)
        with pytest.raises(ValueError, match="digest"):
            script().check(forged, w.key.vkey)
