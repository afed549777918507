"""States: what the journal of a database says of all its collections at one moment.

A state is a record of the journal, so the checkpoint of the journal's tree commits to every collection. Its value is
JSON, keys sorted, no blanks: a member for each collection under its UUID, with name, number of records, root of the
tree in commit order and, where it was asked for, root of the tree over the keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

STATE: Final = "state"
CREATED: Final = "create"
DROPPED: Final = "drop"
"""Events of the beginning and the end of a collection: see `docs/formats/checked-toml.md`."""


class BadState(ValueError):
    """What should be a state is none."""


@dataclass(frozen=True)
class CollectionState:
    """A collection at one moment."""

    name: str
    records: int
    root: bytes
    keys_root: bytes | None = None
    """The root of the tree over its keys, see blockdb.ledger.keytree."""


def encode_state(collections: Mapping[str, CollectionState]) -> dict[str, Any]:
    """The event that is journaled; `collections` are named by their UUIDs."""
    return {"event": STATE, "collections": {uuid: _encode(state) for uuid, state in collections.items()}}


def _encode(state: CollectionState) -> dict[str, Any]:
    keys = {} if state.keys_root is None else {"keys": state.keys_root.hex()}
    return {"name": state.name, "records": state.records, "root": state.root.hex(), **keys}


def encode_event(event: Mapping[str, Any]) -> bytes:
    """The value of the journal's record for an event."""
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def decode_event(value: bytes) -> dict[str, Any]:
    """The event in a record of the journal. Raises BadState."""
    try:
        event = json.loads(value)
        is_canonical = encode_event(event) == value  # or a member that is there twice would be read in two ways
    except (ValueError, RecursionError):
        is_canonical = False
    if not is_canonical or not isinstance(event, dict) or not isinstance(event.get("event"), str):
        raise BadState("the record of the journal is no event")
    return event


def decode_state(event: Mapping[str, Any]) -> dict[str, CollectionState]:
    """The collections of a state, by UUID. Raises BadState."""
    try:
        if event["event"] != STATE:
            raise BadState("the event is no state")
        return {str(uuid): _decode(state) for uuid, state in event["collections"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadState(f"the state is malformed: {error!r}") from None


def _decode(state: Mapping[str, Any]) -> CollectionState:
    records, keys = state["records"], state.get("keys")
    if type(records) is not int or records < 0:
        raise BadState("a number of records is no number")
    roots = [bytes.fromhex(state["root"]), *([] if keys is None else [bytes.fromhex(keys)])]
    if any(len(root) != 32 for root in roots):
        raise BadState("a root is no hash")
    return CollectionState(str(state["name"]), records, roots[0], roots[1] if keys is not None else None)
