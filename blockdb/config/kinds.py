"""What may stand as the value of a key: the check, the form that it has in the environment, and the words for both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

__all__ = ["Choice", "Kind", "Number", "Path", "Switch", "Text", "Texts", "declared"]

MOST_CHARACTERS: Final = 4096


class Kind(Protocol):
    """What a key takes."""

    @property
    def allowed(self) -> str:
        """What may be given, in words that go on after "it should be"."""

    def check(self, value: object) -> Any:
        """The value as a configuration holds it. Raises ValueError, whose words go on after the name of the key."""

    def read(self, text: str) -> Any:
        """What a text in the environment says, not checked yet. Raises ValueError likewise."""


class Number(NamedTuple):
    """A whole number within limits; with `optional`, None too, which stands for what another key says."""

    low: int
    high: int
    optional: bool = False

    @property
    def allowed(self) -> str:
        """The limits."""
        return f"from {self.low} to {self.high}"

    def check(self, value: object) -> int | None:
        """The number itself."""
        if self.optional and value is None:
            return None
        if type(value) is not int:
            raise ValueError(f"it should be a whole number, not {value!r}.")
        if not self.low <= value <= self.high:
            raise ValueError(f"it should be {self.allowed}, not {value}.")
        return value

    def read(self, text: str) -> int:
        """Decimal digits."""
        try:
            return int(text)
        except ValueError:
            hint = _LINK_HINT if text.startswith("tcp://") else ""
            raise ValueError(f"it should be a whole number, not {text!r}.{hint}") from None


_LINK_HINT: Final = " A container platform sets this for a service of that name: turn its service links off."


class Switch(NamedTuple):
    """True or false; with `optional`, None too, which stands for what is there already."""

    optional: bool = False

    @property
    def allowed(self) -> str:
        """Both words."""
        return "true or false"

    def check(self, value: object) -> bool | None:
        """The value itself."""
        if type(value) is bool or (self.optional and value is None):
            return value
        raise ValueError(f"it should be {self.allowed}, not {value!r}.")

    def read(self, text: str) -> bool:
        """The words in any case."""
        if text.lower() not in ("true", "false"):
            raise ValueError(f"it should be {self.allowed}, not {text!r}.")
        return text.lower() == "true"


class Path(NamedTuple):
    """A path; an empty one only where `optional`."""

    what: str = "file"
    optional: bool = True

    @property
    def allowed(self) -> str:
        """Of what it is the path."""
        return f"the path of a {self.what}"

    def check(self, value: object) -> str:
        """The path itself, which need not exist."""
        if isinstance(value, str) and "\0" not in value and (value or self.optional):
            return value
        raise ValueError(f"it should be {self.allowed}.")

    def read(self, text: str) -> str:
        """The text as it is."""
        return text


class Choice(NamedTuple):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The words."""
        return " or ".join([", ".join(map(repr, self.words[:-1])), repr(self.words[-1])])

    def check(self, value: object) -> str:
        """The word itself."""
        if isinstance(value, str) and value in self.words:
            return value
        raise ValueError(f"it should be {self.allowed}, not {value!r}.")

    def read(self, text: str) -> str:
        """The text as it is."""
        return text


class Text(NamedTuple):
    """A text of a form; an empty one only where `optional`. What is `secret` is not shown."""

    allowed: str
    pattern: str
    optional: bool = True
    secret: bool = False

    def check(self, value: object) -> str:
        """The text itself. Matched in time linear in its length, by the patterns that are used here."""
        if value == "" and self.optional:
            return ""
        if isinstance(value, str) and len(value) <= MOST_CHARACTERS and re.fullmatch(self.pattern, value, re.ASCII):
            return value
        given = "" if self.secret else f", not {value!r}"
        raise ValueError(f"it should be {self.allowed}{given}.")

    def read(self, text: str) -> str:
        """The text as it is."""
        return text


class Texts(NamedTuple):
    """A list of texts of a form; a tuple in the configuration, separated by commas in the environment."""

    each: Text

    @property
    def allowed(self) -> str:
        """What each of them is."""
        return f"a list, each member {self.each.allowed}"

    def check(self, value: object) -> tuple[str, ...]:
        """The texts themselves."""
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError(f"it should be {self.allowed}, not {value!r}.")
        return tuple(map(self.each.check, value))

    def read(self, text: str) -> tuple[str, ...]:
        """The texts between the commas."""
        return tuple(part.strip() for part in text.split(",") if part.strip())


def declared(kind: Kind, *, live: bool = False) -> dict[str, Any]:
    """The metadata of a field that is a key. A `live` one is taken over by a server that is told to reload."""
    return {"kind": kind, "live": live}
