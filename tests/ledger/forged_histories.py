"""What a lying server tells a witness, which has seen an older checkpoint: each story is another history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from blockdb.ledger.checkpoint import open_checkpoint
from blockdb.ledger.note import VerifierKey
from blockdb.ledger.proof import BadProof, check_consistency
from tests.ledger import stranger
from tests.ledger.forgeries import World, bodies


class Witness:
    """The heart of one: it remembers the last checkpoint that it saw, and takes no other that does not extend it."""

    def __init__(self, vkey: str, note: str) -> None:
        self._keys = [VerifierKey.parse(vkey)]
        self.seen = open_checkpoint(note, self._keys).checkpoint

    def add(self, old_size: int, proof: list[bytes], note: str) -> None:
        """Take a checkpoint. Raises BadNote, BadProof."""
        new = open_checkpoint(note, self._keys).checkpoint
        if new.origin != self.seen.origin or old_size != self.seen.size:
            raise BadProof("this is not the checkpoint that the last one was of")
        check_consistency(old_size, new.size, self.seen.root, new.root, proof)
        self.seen = new


@dataclass(frozen=True)
class Story:
    """What is told to a witness that saw `seen` records: the size to begin from, the proof, and a checkpoint."""

    name: str
    seen: int
    tell: Callable[[World], tuple[int, list[bytes], str]]


def leaves(count: int, edited: int | None = None) -> list[bytes]:
    return list(map(stranger.leaf, bodies(count, edited)))


def honest(w: World, old: int = 7, new: int = 11) -> tuple[int, list[bytes], str]:
    return old, stranger.consistency(old, leaves(new)), w.note_of(bodies(new))


def fork(w: World) -> tuple[int, list[bytes], str]:
    return 7, stranger.consistency(7, leaves(11, edited=3)), w.note_of(bodies(11, 3))


def proof(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[World], tuple[int, list[bytes], str]]:
    def tell(w: World) -> tuple[int, list[bytes], str]:
        old, hashes, note = honest(w)
        return old, change(hashes), note

    return tell


STORIES: Final = (
    Story("a fork, with a proof of its own", 7, fork),
    Story("a fork, with the proof of the true branch", 7, lambda w: (7, honest(w)[1], fork(w)[2])),
    Story("two checkpoints of one size", 11, lambda w: (11, [], fork(w)[2])),
    Story("a history rolled back", 11, lambda w: honest(w, 7, 8)),
    Story("a history rolled back, from the size that was seen", 11, lambda w: (11, [], honest(w, 7, 8)[2])),
    Story("a history begun anew, from nothing", 7, lambda w: (0, [], fork(w)[2])),
    Story("a history begun anew, with an empty proof", 7, lambda w: (7, [], fork(w)[2])),
    Story("a proof with a hash dropped", 7, proof(lambda hashes: hashes[:-1])),
    Story("a proof with its first hash dropped", 7, proof(lambda hashes: hashes[1:])),
    Story("a proof with a hash appended", 7, proof(lambda hashes: [*hashes, bytes(32)])),
    Story("a proof with hashes swapped", 7, proof(lambda hashes: [hashes[1], hashes[0], *hashes[2:]])),
    Story("a proof with a node that leads to the new root alone", 7, proof(lambda hashes: [bytes(32), *hashes[1:]])),
    Story("a proof from another size", 7, lambda w: (7, stranger.consistency(6, leaves(11)), honest(w)[2])),
    Story("another collection of the database", 7, lambda w: (*honest(w)[:2], w.note_of(bodies(11), below="/x"))),
    Story("another key", 7, lambda w: (*honest(w)[:2], w.note_of(bodies(11), key=w.other_key))),
)
