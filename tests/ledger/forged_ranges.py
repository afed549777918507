"""Forged receipts for ranges of keys, and for the absence of keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.ledger import reference, stranger
from tests.ledger.forgeries import OTHER_UUID, UUID, Found, World, bodies, edit, event, forged
from tests.ledger.stranger import RangeParts

LEFT_OUT = "left out|not lead|too short|too long|not before it|not after it|not in a tree"


def changed(name: str, says: str = LEFT_OUT, **members: Callable[[RangeParts], Any]) -> None:
    """Forge a range receipt by changing some of its parts."""

    forged(f"a range: {name}", says)(lambda w: _changed(w, members).text)


def shown_otherwise(name: str, says: str, **members: Callable[[RangeParts], Any]) -> None:
    """Forge one whose hashes are those beside what is shown, so that they lead to the root."""

    def make(w: World) -> str:
        parts = _changed(w, members)
        stop = parts.index + bool(parts.before) + len(parts.bodies) + bool(parts.after)
        leaves = [stranger.key_leaf(data) for data in sorted(w.bodies, key=stranger.key_of)]
        return replace(parts, hashes=stranger.beside(parts.index, stop, leaves)).text

    forged(f"a range: {name}", says)(make)


def _changed(w: World, members: dict[str, Callable[[RangeParts], Any]]) -> RangeParts:
    parts = w.range()
    return replace(parts, **{member: change(parts) for member, change in members.items()})


changed("a record left out", bodies=lambda p: [p.bodies[0], p.bodies[2]])
changed("its first record left out", bodies=lambda p: p.bodies[1:], index=lambda p: p.index + 1)
shown_otherwise(
    "its first record called a neighbour",
    "not before it",
    bodies=lambda p: p.bodies[1:],
    index=lambda p: p.index + 1,
    before=lambda p: (stranger.key_of(p.bodies[0]), stranger.leaf(p.bodies[0])),
)
shown_otherwise(
    "its last record called a neighbour",
    "not after it",
    bodies=lambda p: p.bodies[:-1],
    after=lambda p: (stranger.key_of(p.bodies[-1]), stranger.leaf(p.bodies[-1])),
)
shown_otherwise(
    "its first record left out, and the neighbour before it",
    "before the range are left out",
    bodies=lambda p: p.bodies[1:],
    index=lambda p: p.index + 2,
    before=lambda p: None,
)
shown_otherwise(
    "its last record left out, and the neighbour after it",
    "end of the range are left out",
    bodies=lambda p: p.bodies[:-1],
    after=lambda p: None,
)
changed("its last record left out", bodies=lambda p: p.bodies[:-1])
changed("two records swapped", "key order", bodies=lambda p: [p.bodies[1], p.bodies[0], p.bodies[2]])
changed("a record twice", "key order", bodies=lambda p: [p.bodies[0], *p.bodies])
changed("a record edited", bodies=lambda p: [p.bodies[0][:-1] + b"X", *p.bodies[1:]])
changed("its start moved outwards", start=lambda p: b"key 01")
changed("its start taken away", start=lambda p: None)
changed("its start moved inwards", "outside", start=lambda p: b"key 04")
changed("its start empty", "empty", start=lambda p: b"")
changed("its end moved outwards", end=lambda p: b"key 12")
changed("its end taken away", end=lambda p: None)
changed("its end moved inwards", "outside", end=lambda p: b"key 05")
changed("ends before it starts", "outside|before it starts", end=lambda p: b"key 01")
changed("neighbours swapped", before=lambda p: p.after, after=lambda p: p.before)
changed("a neighbour's key moved towards it", before=lambda p: (b"key 02x", p.before[1]))  # type: ignore[index]
changed("a neighbour's record edited", after=lambda p: (p.after[0], bytes(32)))  # type: ignore[index]
changed("a neighbour dropped", before=lambda p: None, index=lambda p: p.index + 1)
changed("both neighbours dropped", before=lambda p: None, after=lambda p: None)
changed("a neighbour's key too long", "no key", after=lambda p: (b"x" * 70_000, bytes(32)))
changed("a neighbour's key empty", "no key|receipt", before=lambda p: (b"", bytes(32)))
changed("a neighbour's hash too short", "no key", before=lambda p: (b"key 02", bytes(31)))
changed("shifted", index=lambda p: p.index + 1)
changed("a hash dropped", hashes=lambda p: p.hashes[1:])
changed("a hash appended", hashes=lambda p: [*p.hashes, bytes(32)])
changed("hashes swapped", hashes=lambda p: [p.hashes[1], p.hashes[0], *p.hashes[2:]])
changed("of a collection that the state does not have", "no such collection", collection=lambda p: OTHER_UUID)
changed("the state said to stand elsewhere in the journal", at=lambda p: 1)
changed("the state's number of records edited", state=lambda p: p.state.replace(b'"records":11', b'"records":10'))
changed("the state's path cut", state_path=lambda p: p.state_path[:-1])
changed("the state's path longer", state_path=lambda p: [*p.state_path, bytes(32)])


@forged("a range: the state's root over the keys edited", LEFT_OUT)
def keys_root_edited(w: World) -> str:
    rest = [data for data in w.bodies if stranger.key_of(data) != b"key 04"]
    parts = w.range(bodies=rest)
    return replace(parts, state=event(2, stranger.state(UUID, rest))).text


@forged("an absent key that is there: its neighbours shown as side by side", LEFT_OUT)
def neighbours_that_are_none(w: World) -> str:
    before, there, after = (data for data in w.range().bodies)
    assert stranger.key_of(there) == b"key 04"
    parts = w.range(b"key 04", b"key 04\0")
    pair = [(stranger.key_of(data), stranger.leaf(data)) for data in (before, after)]
    return replace(parts, before=pair[0], bodies=(), after=pair[1]).text


@forged("an absent key that is there: by a tree without it", "not lead")
def a_tree_without_it(w: World) -> str:
    rest = [data for data in w.bodies if stranger.key_of(data) != b"key 04"]
    return w.range(b"key 04", b"key 04\0", bodies=rest).text


@forged("a range by an old tree, with the state of now", LEFT_OUT)
def old_tree(w: World) -> str:
    return w.range(bodies=w.old).text


@forged("a range by the tree of now, with an old state", LEFT_OUT)
def old_state(w: World) -> str:
    return w.range(at=0).text


@forged("a range by an old tree and its state, under the checkpoint of now", found=Found.SAYS_SO)
def all_old(w: World) -> str:
    return w.range(bodies=w.old, at=0).text


@forged("a range: the state written as a record into a collection", "no journal|no receipt")
def state_in_a_collection(w: World) -> str:
    rest = [data for data in w.bodies if stranger.key_of(data) != b"key 04"]
    return w.range(bodies=rest, journal=w.journaled(stranger.state(UUID, rest)), below=f"/{OTHER_UUID}").text


@forged("a range: of another collection's keys", "not lead")
def other_collection(w: World) -> str:
    others = bodies(11, edited=4)
    said = [
        json.loads(stranger.state(uuid, of))["collections"] for uuid, of in ((UUID, w.bodies), (OTHER_UUID, others))
    ]
    both = stranger.event({"event": "state", "collections": said[0] | said[1]})
    return w.range(bodies=others, journal=w.journaled(both)).text


@forged("a range: by the journal of another database", "none of the keys|signed")
def other_journal(w: World) -> str:
    parts = w.range()
    root = reference.root(list(map(stranger.leaf, w.journal)))
    return replace(parts, note=w.other_key.checkpoint(3, root, "/journal")).text


def by_the_operator(name: str, says: str, change: Callable[[World, bytes], bytes]) -> None:
    """What an operator signs in the journal that is no state."""
    forged(f"a range: {name}", says)(
        lambda w: w.range(journal=w.journaled(change(w, stranger.state(UUID, w.bodies)))).text
    )


NO_STATE = "no event|malformed|not a state|no state|no number|no hash|keys"
by_the_operator("a state with a member twice", NO_STATE, lambda w, said: said.replace(b'"name"', b'"keys":"00","name"'))
by_the_operator("a state with blanks in it", NO_STATE, lambda w, said: said.replace(b",", b", "))
by_the_operator("a state in UTF-16", NO_STATE, lambda w, said: said.decode().encode("utf-16"))
by_the_operator("a state of another kind", NO_STATE, lambda w, said: said.replace(b'"state"', b'"keys"'))
by_the_operator("a state whose number is a text", NO_STATE, lambda w, said: said.replace(b":11,", b':"11",'))
by_the_operator("a state that is a list", NO_STATE, lambda w, said: b"[" + said + b"]")


@forged("a range: a state that does not commit to the keys", "does not commit|keys")
def no_keys(w: World) -> str:
    said = edit(stranger.state(UUID, w.bodies).decode(), r'("keys":"\w+",)', "").encode()
    return w.range(journal=w.journaled(said)).text


forged("a range called a run", "")(lambda w: edit(w.range().text, r"\A(\S+)\n", "blockdb/run-proof@v1"))


@forged("an operator's state that leaves a key out", found=Found.RECEIPTS)
def a_lie_that_is_signed(w: World) -> str:
    rest = [data for data in w.bodies if stranger.key_of(data) != b"key 04"]
    said = stranger.state(UUID, rest, records=10)
    return w.range(b"key 04", b"key 04\0", bodies=rest, journal=w.journaled(said)).text
