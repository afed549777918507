"""Writes docs/CONFIGURATION.md from the sections: `python -m blockdb.config.reference > docs/CONFIGURATION.md`."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import Field, fields
from itertools import pairwise
from typing import Any

from blockdb.config import sections
from blockdb.config.kinds import Kind, Number
from blockdb.config.sections import SECTIONS
from blockdb.config.sources import variables

__all__ = ["reference"]

_HEAD = """\
# Configuration

This page is made from the sections (`blockdb/config/sections.py`) by `python -m blockdb.config.reference`; a test
fails when it is out of date.

A setting comes from, in this order: a flag on the command line, an environment variable, the file `blockdb.toml`
(in the current directory, or the one that `--config` names), its default. A key or section that does not exist is an
error, and so is a value that a key does not take; the error names the place and says what may stand there. Of several
sources of one key only the one that counts is looked at, except by `blockdb config check`.

- `blockdb config show` tells the value of each key, and where it comes from. Secrets are not shown.
- `blockdb config check FILE` tells all that is wrong with a file (exit code 2), and nothing else.

In the environment, numbers are decimal, switches `true` or `false`, and the members of a list are separated by commas.
The keys with a * are taken over when a running server is told to reload (SIGHUP); the others need a restart.

```toml
[database]
data_dir = "/var/lib/blockdb"
wal_sync_interval = 0            # each write is on the disk before it is acknowledged

[server]
port = 8080
rate_limit = 500
allowed_hosts = ["db.example.org"]

[security]
tls_certificate = "/etc/blockdb/tls.crt"
tls_key = "/etc/blockdb/tls.key"

[logging]
level = "info,server=debug"
file = "/var/log/blockdb/blockdb.log"
```
"""


def reference() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *map(_section, SECTIONS)])


def _section(section: str) -> str:
    config = SECTIONS[section]
    words = _meanings(config.__name__)
    rows = [_row(section, each, words[each.name]) for each in fields(config)]  # type: ignore[arg-type]
    return "\n".join(
        [f"## [{section}]\n", "| key | default | may be | meaning |", "| --- | --- | --- | --- |", *rows, ""]
    )


def _row(section: str, each: Field[Any], meaning: str) -> str:
    kind: Kind = each.metadata["kind"]
    star = " *" if each.metadata["live"] else ""
    variable = "<br>".join(f"`{name}`" for name in variables((section, each.name)))
    allowed = kind.allowed.replace("|", "\\|")
    return f"| `{each.name}`{star}<br>{variable} | {_toml(each.default, kind)} | {allowed} | {meaning} |"


def _toml(value: object, kind: Kind) -> str:
    """A default as it would stand in a file."""
    if value is None:
        return "*as the other*" if isinstance(kind, Number) else "*as it is*"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return (
        f"`{list(value)}`" if isinstance(value, tuple) else f'`"{value}"`' if isinstance(value, str) else f"`{value}`"
    )


def _meanings(name: str) -> dict[str, str]:
    """The texts below the fields of a class, which only its source has."""
    return dict(_texts(ast.parse(inspect.getsource(getattr(sections, name))).body[0]))


def _texts(tree: ast.AST) -> Iterator[tuple[str, str]]:
    body = getattr(tree, "body", [])
    for before, after in pairwise(body):
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and isinstance(after, ast.Expr):
            yield before.target.id, " ".join(str(ast.literal_eval(after.value)).split())


if __name__ == "__main__":
    sys.stdout.write(reference())
