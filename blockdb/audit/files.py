"""Reading files for an audit: whole small ones, mapped large ones. An audit that cannot read a file says so."""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from blockdb.audit.findings import Findings
from blockdb.format import checked_toml
from blockdb.format.frame import BadFrame


def read_values(path: Path, kind: str, findings: Findings) -> dict[str, Any] | None:
    """The values of a checked TOML file of a kind, or None after noting what is wrong with it."""
    try:
        values = checked_toml.decode(path.read_bytes())
        if values.get("kind") == kind:
            return values
        findings.add(path, f"the file should be a {kind}, and is a {values.get('kind', 'file of no kind')}")
    except OSError as error:
        findings.add(path, f"the file cannot be read: {error.strerror}")
    except BadFrame as error:
        findings.add(path, str(error))
    return None


def map_file(path: Path, findings: Findings) -> mmap | None:
    """A file mapped into memory, or None after noting what is wrong with it."""
    try:
        with path.open("rb") as file:
            return mmap(file.fileno(), 0, access=ACCESS_READ)
    except OSError as error:
        findings.add(path, f"the file cannot be read: {error.strerror}")
    except ValueError:
        findings.add(path, "the file is empty")
    return None
