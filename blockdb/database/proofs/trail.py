"""What checkpoints that were kept elsewhere say of a database, held against what it has now."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from blockdb.database.proofs.journal import Journal
from blockdb.database.proofs.prover import Prover
from blockdb.errors import Corruption
from blockdb.ledger.checkpoint import Checkpoint
from blockdb.ledger.state import DROPPED, CollectionState
from blockdb.storage.metadata import uuid_of


class Trail:
    """The journal and the collections of a database, as far as checkpoints of the past are checked against them.

    Roots are taken from the seals and the records, never from the nodes that are kept to make proofs quickly.
    """

    def __init__(self, journal: Journal, prover: Prover, prover_named: Callable[[str], Prover | None]) -> None:
        """`prover` is the journal's; `prover_named` gives that of a collection by the UUID that states have."""
        self._prover = prover
        self._prover_named = prover_named
        self._journal = journal
        self._earlier = journal.states()
        self._states: list[tuple[int, dict[str, CollectionState]]] = []
        """The newest first, as far back as anybody asked."""
        self._faults: dict[Checkpoint, str | None] = {}

    @property
    def size(self) -> int:
        """How many entries the journal has."""
        return self._prover.size

    def fault(self, checkpoint: Checkpoint) -> str | None:
        """What contradicts a checkpoint of the journal: its tree, or a collection at that time. None: nothing.

        O(records in a block + log states), and the first time O(states since then). Raises nothing for damage.
        """
        if checkpoint not in self._faults:
            try:
                self._faults[checkpoint] = self._fault(checkpoint)
            except Corruption as error:
                self._faults[checkpoint] = f"what it covers is damaged ({error.path}: {error.what})"
        return self._faults[checkpoint]

    def _fault(self, checkpoint: Checkpoint) -> str | None:
        if checkpoint.size > self.size:
            return (
                f"it has the checkpoint of {checkpoint.size} entries of the journal, and here are {self.size}: the end "
                "was cut off, or an older copy was put back"
            )
        if self._prover.root_at(checkpoint.size) != checkpoint.root:
            return (
                f"the checkpoint of {checkpoint.size} entries of the journal that it has (root "
                f"{checkpoint.root.hex()}) is not one of this history: it was rewritten, or is a fork"
            )
        return next(filter(None, (self._lost(uuid, state) for uuid, state in self._state(checkpoint).items())), None)

    @cached_property
    def _dropped(self) -> Mapping[str, int]:
        """With how many records collections were dropped, by their UUIDs, as the journal has it."""
        return {uuid_of(event["collection"]): event["records"] for _, event in self._journal.events(DROPPED)}

    def _lost(self, uuid: str, state: CollectionState) -> str | None:
        """What a collection does not have any more of what a state says of it."""
        prover = self._prover_named(uuid)
        if prover is None:
            if state.records <= self._dropped.get(uuid, -1):
                return None  # on purpose
            return f"the collection {state.name} ({uuid}) is gone, and the journal does not tell that it was dropped"
        if state.records > prover.size:
            return f"{state.name} had {state.records} records, and has {prover.size}: its end was cut off"
        if prover.root_at(state.records) != state.root:
            return f"the first {state.records} records of {state.name} are not those that they were: it was rewritten"
        return None

    def records_at(self, size: int, uuid: str) -> int:
        """How many records of a collection a checkpoint of so many entries of the journal covers. O(states since)."""
        state = self._state_at(size).get(uuid)
        return 0 if state is None else state.records

    def _state(self, checkpoint: Checkpoint) -> Mapping[str, CollectionState]:
        return self._state_at(checkpoint.size)

    def _state_at(self, size: int) -> Mapping[str, CollectionState]:
        """What the journal said last when it had so many entries."""
        while not self._states or self._states[-1][0] >= size:
            state = next(self._earlier, None)
            if state is None:
                return {}
            self._states.append(state)
        return self._states[bisect_right(self._states, -size, key=lambda state: -state[0])][1]

    def between(self, kept: Iterable[Checkpoint], bad_size: int) -> str:
        """Between which two checkpoints the history changed, when that of `bad_size` entries is the first bad one."""
        good = [one for one in kept if one.size <= bad_size and self.fault(one) is None]
        if not good:
            return "no earlier checkpoint is kept that still holds"
        last = max(good, key=lambda one: one.size)
        records = "".join(f", {state.name}: {state.records} records" for state in self._state(last).values())
        return (
            f"the history changed after the checkpoint of {last.size} entries (root {last.root.hex()}{records}), "
            f"which still holds, and before that of {bad_size}"
        )


def first_fault(trail: Trail, kept: Sequence[Checkpoint]) -> Checkpoint | None:
    """The first of the checkpoints, in the order of their sizes, that the database contradicts. O(checkpoints)."""
    return next((one for one in sorted(kept, key=lambda one: one.size) if trail.fault(one) is not None), None)
