"""Who may do what, as a page: `python -m blockdb.server.reference > docs/AUTHORIZATION.md`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from blockdb.security.roles import RIGHTS, Right
from blockdb.wire.operation import Operation
from blockdb.wire.table import OPERATIONS

__all__ = ["reference"]

_HEAD = """\
# Who may do what

This page is made from the table of operations (`blockdb/wire/table.py`), which is also what the server asks, by
`python -m blockdb.server.reference`; a test fails when it is out of date. Another one asks a server everything as
everybody, and holds that against a matrix written by hand (`tests/server/matrix.py`). [SECURITY.md](SECURITY.md) says
what roles and tokens are.

A request is allowed if the role has the right, and what the request touches is within what the token is good for:

| what it touches | a token for some collections | a token for keys with a prefix |
|---|---|---|
| nothing that belongs to somebody | may | may |
| the database as a whole | may not | may not |
| a collection as a whole | one of its own | may not |
| how a collection is made up | one of its own | may |
| keys, or a range of them | in one of its own | keys with its prefix, all of them |

Lists of collections show those that one may touch. A collection that a token is not good for is denied in the same
words whether there is it or not. Transactions are their beginner's alone: others are told that there is none. A proof
that a key is absent, or that a range is complete, tells the keys beside it, so it touches the collection as a whole.
"""
_EVERYBODY = "everybody, also who does not say who they are"


def reference() -> str:
    """The whole page."""
    rows = [row for right in (None, *Right) for row in _section(right)]
    return "\n".join([_HEAD, *rows])


def _section(right: Right | None) -> Iterator[str]:
    roles = "" if right is None else ", ".join(role.value for role, rights in RIGHTS.items() if right in rights)
    found = [operation for operation in OPERATIONS if operation.right is right]
    if found:
        yield f"## {'No right' if right is None else f'The right to {right.value}'}\n"
        yield f"For {roles or _EVERYBODY}.\n"
        yield "| operation | HTTP | gRPC | touches |"
        yield "|---|---|---|---|"
        yield from map(_row, found)
        yield ""


def _row(operation: Operation) -> str:
    method = "" if operation.is_rest else f"`{_camel(operation.name)}`"
    touches = re.split(r"[.,:;]", operation.reach.__doc__ or "")[0]
    if not touches:
        raise LookupError(f"what {operation.name} touches is not said")
    return f"| {operation.summary} | `{operation.method} {operation.path}` | {method} | {_small(touches)} |"


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


if __name__ == "__main__":
    sys.stdout.write(reference())
