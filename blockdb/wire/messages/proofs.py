"""Proofs, checkpoints and keys."""

from __future__ import annotations

from blockdb.types import Anchor, Problem
from blockdb.wire.messages.records import InCollection
from blockdb.wire.operation import Message


class Receipt(Message, kw_only=True):
    """A receipt: a text that proves what it says to whoever trusts the key."""

    receipt: str


class Run(InCollection, kw_only=True):
    """Records that stand one after the other."""

    first: int
    count: int


class Note(Message, kw_only=True):
    """A signed checkpoint."""

    checkpoint: str


class Growth(InCollection, kw_only=True):
    """From one size of the tree to another."""

    old_size: int
    size: int


class DatabaseGrowth(Message, kw_only=True):
    """From one size of the journal's tree to another."""

    old_size: int
    size: int


class DatabaseSize(Message, kw_only=True):
    """A request about the journal's tree over so many entries."""

    size: int


class Consistency(Message, kw_only=True):
    """The hashes that show that the larger tree begins with the smaller one."""

    hashes: list[bytes]


class BySize(InCollection, kw_only=True):
    """A request about the tree over so many records."""

    size: int


class Root(Message, kw_only=True):
    """The root of a tree."""

    root: bytes


class ByTile(InCollection, kw_only=True):
    """A tile, entry bundle or checkpoint of C2SP tlog-tiles, by its path."""

    path: str


class Chunk(Message, kw_only=True):
    """A piece of a stream of bytes."""

    data: bytes


class Keys(Message, kw_only=True):
    """The verifier key, those before it, and the public key alone."""

    verifier_key: str
    earlier: list[str]
    public_key: bytes


class Anchors(Message, kw_only=True):
    """What remembers the checkpoints outside of the database."""

    anchors: list[Anchor]


class Published(Message, kw_only=True):
    """A checkpoint that was given to the anchors, and what failed, by anchor."""

    checkpoint: str
    failures: dict[str, str]


class Problems(Message, kw_only=True):
    """What is not as it was written."""

    problems: list[Problem]
