"""The keys that somebody wants: a TOML file that gives bindings other keys than they have by themselves."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textual.keys import Keys, _character_to_key, key_to_character

from .bindings import Bound, all_bindings

__all__ = ["Keymap", "keymap_path", "load_keymap"]

MODIFIERS = frozenset({"ctrl", "shift", "alt", "super", "hyper", "meta"})
UNWISE = {
    "ctrl+b": "tmux keeps it for itself",
    "ctrl+j": "terminals send it for Enter",
    "ctrl+o": "some terminals swallow what follows it",
    "ctrl+s": "many terminals stop at it until ctrl+q",
}
LARGEST_BYTES = 256 * 1024


@dataclass(frozen=True)
class Keymap:
    """Keys by the ids of bindings, several with commas between; and what was wrong with the file, in words."""

    keys: Mapping[str, str] = field(default_factory=dict)
    complaints: tuple[str, ...] = ()


def keymap_path() -> Path:
    """Where the file is: `$XDG_CONFIG_HOME/blockdb/keys.toml`, or below `~/.config`."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".config") / "blockdb" / "keys.toml"


def load_keymap(path: Path | None = None) -> Keymap:
    """What a file says; of the usual one nothing where there is none.

    Whatever is wrong is told in the complaints, and the rest of the file counts.
    """
    named, path = path is not None, path or keymap_path()
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
        if len(data) > LARGEST_BYTES:
            return Keymap(complaints=(f"{path} is too large to be a file of keys.",))
        wanted = dict(_flat(tomllib.loads(data.decode())))
    except FileNotFoundError:
        return Keymap(complaints=(f"{path} is not there; the keys are the usual ones.",) if named else ())
    except OSError as error:
        return Keymap(complaints=(f"{path} cannot be read ({error.strerror or error}); the keys are the usual ones.",))
    except ValueError as error:  # no TOML, or no UTF-8
        return Keymap(complaints=(f"{path} is no TOML file: {error}. The keys are the usual ones.",))
    return _checked(wanted, path.name)


def _flat(entries: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Entries by whole ids, however they are written: `"a.b" = …`, `a.b = …`, or below `[a]`."""
    for name, value in entries.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _checked(wanted: Mapping[str, Any], file: str) -> Keymap:
    complaints: list[str] = []
    keys: dict[str, tuple[str, ...]] = {}
    for name, value in wanted.items():
        entry = f"{file}, {name}"
        if name not in all_bindings():
            complaints.append(f"{entry}: there is no binding of that name{_nearest(name)}.")
        elif good := _keys(value, entry, complaints):
            keys[name] = good
    _drop_clashes(keys, file, complaints)
    complaints += _shadows(keys, file)
    return Keymap({name: ",".join(own) for name, own in keys.items()}, tuple(complaints))


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, all_bindings(), 1)
    return f"; did you mean {near[0]}?" if near else "; `blockdb tui --keys` lists them"


def _keys(value: Any, entry: str, complaints: list[str]) -> tuple[str, ...]:
    """The keys that an entry names, as textual calls them; those that are none are left out."""
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        complaints.append(f'{entry}: keys are a text such as "slash,f3".')
        return ()
    good: list[str] = []
    for text in texts:
        key = _named(text.strip())
        if key is None:
            complaints.append(f"{entry}: {text.strip() or 'nothing'!r} is no key.")
            continue
        if key in UNWISE:
            complaints.append(f"{entry}: {key} may not arrive: {UNWISE[key]}.")
        good.append(key)
    return tuple(dict.fromkeys(good))


def _named(text: str) -> str | None:
    """A key as textual calls it; None if there is no such key."""
    *modifiers, name = text.split("+") if text != "+" else [text]
    if not set(modifiers) <= MODIFIERS or len(set(modifiers)) != len(modifiers):
        return None
    if len(name) == 1 and name.isprintable():
        name = _character_to_key(name)
    elif name not in _NAMES and key_to_character(name) is None:
        return None
    return "+".join([*modifiers, name])


_NAMES = frozenset(key.value for key in Keys if "+" not in key.value and not key.value.startswith("<")) | {
    *("slash", "backslash", "at", "minus", "plus", "underscore", "space")
}


def _drop_clashes(keys: dict[str, tuple[str, ...]], file: str, complaints: list[str]) -> None:
    """Takes entries out, the last first, until no two bindings of a place have the same key."""
    while (clash := _clash(keys)) is not None:
        name, key, other = clash
        del keys[name]
        complaints.append(
            f"{file}, {name}: {key} is that of {other} in the same place; {name} stays at {all_bindings()[name].shown}."
        )


def _clash(keys: dict[str, tuple[str, ...]]) -> tuple[str, str, str] | None:
    known = all_bindings()
    for name in reversed(keys):
        for other in known.values():
            if other.id != name and other.room == known[name].room:
                both = set(keys[name]) & set(keys.get(other.id, other.keys)) - _shared(known[name], other)
                if both:
                    return name, min(both), other.id
    return None


def _shared(bound: Bound, other: Bound) -> set[str]:
    """The keys that two bindings have in common by themselves: of two widgets of one module, say."""
    return set(bound.keys) & set(other.keys)


def _shadows(keys: Mapping[str, tuple[str, ...]], file: str) -> Iterator[str]:
    """Says which keys mean something else to whatever is nearer to the focus."""
    known = all_bindings()
    for name, own in keys.items():
        bound = known[name]
        others = [
            other
            for other in known.values()
            if other.room != bound.room and other.meets(bound) and set(own) & set(keys.get(other.id, other.keys))
        ]
        stronger = [other.id for other in others if other.reach < bound.reach]
        weaker = [other.id for other in others if other.reach > bound.reach]
        if stronger:
            yield f"{file}, {name}: where {_some(stronger)} is heard, the key means that."
        if weaker:
            yield f"{file}, {name}: where it is heard, the key no longer means {_some(weaker)}."


def _some(ids: list[str]) -> str:
    return ids[0] if len(ids) == 1 else f"{ids[0]} (and {len(ids) - 1} more)"
