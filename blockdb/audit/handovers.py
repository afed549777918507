"""Auditing changes of keys: each key but the first should have been named by one before it, in the journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from blockdb.format.record import RecordFrame
from blockdb.ledger.note import BadNote, Note, VerifierKey
from blockdb.ledger.state import BadState, decode_event

KEYS: Final = "keys"
TITLE: Final = "blockdb/key-rotation@v1"


def strangers(public_keys: Sequence[bytes], journal: Iterable[RecordFrame]) -> list[str]:
    """Notes on the keys that no other one handed over to. O(events).

    A repair that had to make a new key is one innocent cause, so this is told, and is no damage.
    """
    if len(public_keys) < 2:
        return []
    named = dict(_handovers(journal))
    reached, left = {public_keys[0]}, set(public_keys[1:])
    while found := {key for key in left if named.get(key) in reached}:
        reached |= found
        left -= found
    return [
        f"The public key {key.hex()} is on the list, and no key before it handed over to it: do you know why?"
        for key in public_keys
        if key in left
    ]


def _handovers(journal: Iterable[RecordFrame]) -> Iterator[tuple[bytes, bytes]]:
    """New keys, and those that signed for them."""
    for frame in journal:
        try:
            event = decode_event(frame.value)
            if event["event"] == KEYS:
                note = Note.parse(str(event.get("note")))
                title, old, new = note.text.split("\n")[:3]
                [signer] = note.verified_by([VerifierKey.parse(old)])
                if title == TITLE:
                    yield VerifierKey.parse(new).public_key, signer.public_key
        except (BadState, BadNote, ValueError):
            continue  # what is no event is named elsewhere; what is not signed hands nothing over
