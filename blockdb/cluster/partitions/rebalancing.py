"""Moving partitions from node to node, while they are written to.

A move is three steps, each of which is done when the roster says so: the new holder is added as a learner, gets what
there is, and is promoted by its log; then the old one is removed. Nothing else remembers moves: whoever finds them half
done goes on from the rosters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Lock
from time import monotonic
from typing import Any, Final

import msgspec

from blockdb.cluster.partitions.creating import Creating
from blockdb.cluster.partitions.engine import ROOT, Engine
from blockdb.cluster.partitions.partition import Partition
from blockdb.cluster.partitions.placing import Move, moves
from blockdb.cluster.partitions.registry import Registry, collection_of
from blockdb.errors import BlockDBError, InvalidData, Unavailable
from blockdb.format.consensus import Member, Members, Role

__all__ = ["ADD", "REMOVE", "Rebalancing", "answer_add", "answer_remove"]

ADD: Final = "add holder"
REMOVE: Final = "remove holder"

ASK_S: Final = 5.0
"""How long a holder is given to change a roster."""
LOOK_S: Final = 0.05
CATCH_UP_S: Final = 600.0
"""How long a new holder is given to catch up; then it is let go again, and the move has failed."""

Tell = Callable[[Move, int, int], None]
"""Is told of each move that is done, which one it was, and of how many."""


class Rebalancing:
    """One rebalancing at a time on a node; several nodes that do it do not harm each other. Safe for threads."""

    def __init__(self, engine: Engine, registry: Registry, creating: Creating, catch_up_s: float = CATCH_UP_S) -> None:
        self._engine, self._registry, self._creating = engine, registry, creating
        self._catch_up_s = catch_up_s
        self._lock = Lock()
        self._is_over = Event()

    # What is to be done.

    def plan(self, leaving: Sequence[str] = (), *, evenly: bool = True) -> list[Move]:
        """What would move, as this node sees it; off the nodes that are `leaving`. Raises Unavailable."""
        nodes = self._creating.nodes().keys() - set(leaving)
        if not nodes:
            raise InvalidData("No other node would be left to hold partitions. Add one first.")
        placement, copies = self._creating.placement(), dict[str, int]()
        for name in placement:
            found = self._registry.find(collection_of(name)[0])
            if found is not None:
                copies[name] = self._creating.copies_of(found)
        known = {name: placement[name] for name in copies}
        return moves(known, copies, nodes, evenly=evenly, shunned=self._creating.dead())

    def run(self, leaving: Sequence[str] = (), tell: Tell = lambda move, number, total: None) -> list[Move]:
        """Do it, one move after the other; gives what was done. What cannot be done is passed over and told at the end.

        Raises Unavailable, saying which moves could not be done and why; what was done stays done.
        """
        with self._lock:
            self._settle()
            return self._do(self.plan(leaving), tell)

    def repair(self) -> list[Move]:
        """Only replace copies that were on nodes which are gone, and make those that are missing."""
        if not self._lock.acquire(blocking=False):
            return []
        try:
            wanted = [move for move in self.plan(evenly=False) if move.add]
            return self._do(wanted, lambda move, number, total: None) if wanted else []
        finally:
            self._lock.release()

    def is_held(self, node: str) -> bool:
        """Whether a node still holds a partition."""
        return any(node in held for held in self._creating.placement().values())

    def close(self) -> None:
        """Have what is under way end soon."""
        self._is_over.set()

    # Doing it.

    def _do(self, planned: Sequence[Move], tell: Tell) -> list[Move]:
        done: list[Move] = []
        failed: list[str] = []
        for number, move in enumerate(planned, 1):
            if self._is_over.is_set():
                failed.append("the rest: this node is about to stop")
                break
            try:
                self._move(move)
            except BlockDBError as error:
                failed.append(f"{move}: {error}")
                continue
            done.append(move)
            tell(move, number, len(planned))
        if failed:
            raise Unavailable(
                f"{len(failed)} of {len(planned)} moves could not be done, {len(done)} are. Try again; "
                + "; ".join(failed)
            )
        return done

    def _move(self, move: Move) -> None:
        roster = self._roster(move.partition)
        if move.add and not _is_voter(roster, move.add):
            member = self._creating.nodes().get(move.add)
            if member is None:
                raise Unavailable(f"{move.add} is no node of the cluster any more.")
            if move.add not in roster:
                self._ask(move.partition, ADD, member.id, member.address, member.peer_address)
            self._wait_for(move.partition, move.add)
        if move.remove and move.remove in self._roster(move.partition):
            self._ask(move.partition, REMOVE, move.remove)

    def _wait_for(self, partition: str, id_: str) -> None:
        """Until a learner has caught up; else it is let go again."""
        deadline = monotonic() + self._catch_up_s
        while not _is_voter(self._roster(partition), id_):
            if monotonic() > deadline or self._is_over.is_set() or id_ in self._creating.dead():
                self._ask(partition, REMOVE, id_)
                raise Unavailable(f"{id_} has not caught up with it.")
            self._is_over.wait(LOOK_S)

    def _settle(self) -> None:
        """Let those catch up that were added before; who does not is let go."""
        for name, members in self._engine.rosters().items():
            for member in members.all if name != ROOT else ():
                if member.role is Role.LEARNER and name in self._engine.rosters():
                    self._wait_for(name, member.id)

    def _roster(self, partition: str) -> Members:
        found = self._engine.rosters().get(partition)
        if found is None:
            raise Unavailable(f"Partition {partition} was removed meanwhile.")
        return found

    def _ask(self, partition: str, *question: Any) -> None:
        answer = self._engine.ask(partition, msgspec.msgpack.encode(question), ASK_S).result(2 * ASK_S)
        if problem := answer.decode():
            raise Unavailable(problem)


def _is_voter(roster: Members, id_: str) -> bool:
    return id_ in roster.voters


# What holders answer.


def answer_add(partition: Partition, rest: Sequence[Any]) -> bytes:
    """Have a node be a holder, a learner at first; the answer is empty, or says why not."""
    id_, address, peer_address = rest
    return _told(lambda log: log.add_member(Member(id_, address, peer_address)), partition)


def answer_remove(partition: Partition, rest: Sequence[Any]) -> bytes:
    """Have a node be a holder no longer; the answer is empty, or says why not."""
    (id_,) = rest
    return _told(lambda log: log.remove_member(id_).result(ASK_S), partition)


def _told(act: Callable[[Any], object], partition: Partition) -> bytes:
    try:
        if partition.log is None:
            raise Unavailable(f"{partition.name} is not open here any more.")
        act(partition.log)
    except (BlockDBError, TimeoutError) as error:
        return str(error).encode() or b"It took too long."
    return b""
