"""What the commands are applied to: keys that are written once, and what became of each request."""

from __future__ import annotations

from dataclasses import dataclass, field

from xxhash import xxh3_64_intdigest

from blockdb.format.consensus import NOBODY, Entry, Kind
from blockdb.raft.messages import SnapshotHead

BEFORE_ALL = SnapshotHead(0, 0, NOBODY)


def command_of(request: int, key: int) -> bytes:
    """The command that writes `request` as the value of a key."""
    return b"%d %d" % (request, key)


@dataclass(slots=True)
class Machine:
    """The state after the entry at `head.index`; the same on every node."""

    head: SnapshotHead = BEFORE_ALL
    values: dict[int, int] = field(default_factory=dict)
    """Which request wrote each key."""
    outcomes: dict[int, bool] = field(default_factory=dict)
    """Whether each request wrote its key; a request that comes again has the outcome that it had."""
    chain: int = 0
    """A hash of everything applied, in order."""

    def apply(self, entry: Entry) -> int | None:
        """Apply an entry, and give the request that was decided."""
        self.chain = xxh3_64_intdigest(b"%d %d %d " % (entry.index, entry.term, entry.kind) + entry.data, self.chain)
        if entry.kind is not Kind.COMMAND:
            return None
        request, key = map(int, entry.data.split())
        if request not in self.outcomes:
            self.outcomes[request] = key not in self.values
            self.values.setdefault(key, request)
        return request

    def copy(self, head: SnapshotHead | None = None) -> Machine:
        """A snapshot."""
        return Machine(head or self.head, dict(self.values), dict(self.outcomes), self.chain)
