"""A query as a form: filter, order, fields and limit, each a text of its own; and the line of the shell that it is."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import blockdb
from blockdb.commands.display import printable
from blockdb.commands.failures import UsageError
from blockdb.commands.invocation import parse_line
from blockdb.commands.line import quote, to_bytes
from blockdb.commands.moment import as_option
from blockdb.commands.queries import check_fields

from .keytext import Target, command_line
from .querying import MOST_FOUND, Mistake, Plan, Query, plan_of

if TYPE_CHECKING:
    from blockdb import AnyCollection, AsOf

__all__ = ["PARTS", "USUAL_LIMIT", "Form", "Wrong", "form_of", "look_at"]

PARTS = ("where", "order", "fields", "limit")
USUAL_LIMIT = 1_000


@dataclass(frozen=True)
class Form:
    """What somebody asks for; each part as it was typed."""

    where: str = ""
    order: str = ""
    fields: str = ""
    limit: str = ""

    @property
    def query(self) -> Query:
        """The filter and the order."""
        return Query(self.where, self.order.strip())

    @property
    def most(self) -> int:
        """How many documents are wanted at most. Raises ValueError for what is no number of them."""
        text = self.limit.replace(",", "").strip()
        most = int(text) if text else USUAL_LIMIT
        if not 0 < most <= MOST_FOUND:
            raise ValueError(text)
        return most

    def line(self) -> str:
        """The line of the shell that finds the same. Raises ValueError as `most`."""
        return " ".join(["find", *self._words(lambda text: quote(to_bytes(text)))])

    def command(self, target: Target, as_of: AsOf | None = None) -> str:
        """The command that finds the same. Raises ValueError as `most`."""
        return command_line(target, "find", *as_option(as_of), *self._words(shlex.quote))

    def _words(self, quoted: Callable[[str], str]) -> list[str]:
        named = (("--order", self.order.strip()), ("--fields", self.fields.strip()))
        words = [word for name, text in named if text for word in (name, quoted(text))]
        where = self.where.strip()
        filters = ["--"] * where.startswith("-") + [quoted(where)] * bool(where)
        return [*words, "--limit", str(self.most), *filters]


_ELSE = ("param", "offset", "after", "as_of", "output", "collection")
"""What a line may ask for that no form has room for."""


def form_of(line: str) -> Form | None:
    """The form that a line of the shell fills; None where it is no query, or asks for more than a form holds."""
    try:
        found = parse_line(line)
    except UsageError:
        return None
    given = found.arguments
    if found.command.name != "find" or any(getattr(given, name, None) for name in _ELSE):
        return None
    is_all, limit = getattr(given, "all", False), given.limit
    most = str(MOST_FOUND) if is_all else "" if limit is None else str(min(limit, MOST_FOUND))
    return Form(given.filter or "", given.order or "", given.fields or "", most)


@dataclass(frozen=True)
class Wrong:
    """What is wrong with a form: in which part, and there at which character."""

    part: str
    position: int
    what: str


def look_at(collection: AnyCollection, form: Form, as_of: AsOf | None = None) -> Plan | Wrong:
    """How a form will be answered, or what is wrong with it. Waits; raises BlockDBError."""
    try:
        _ = form.most
    except ValueError:
        return Wrong("limit", 0, f"a number from 1 to {MOST_FOUND:,}")
    try:
        if form.fields.strip():
            check_fields(form.fields)
    except blockdb.QueryError as error:
        return Wrong("fields", error.position, printable(error.what))
    found = plan_of(collection, Query(form.where, form.order, MARK), as_of)
    if not isinstance(found, Mistake):
        return found
    in_order = found.position >= MARK
    return Wrong("order" if in_order else "where", found.position - (MARK if in_order else 0), found.what)


MARK = 1 << 40
"""Where an order begins, so that a place in it cannot be one in the filter."""
