"""How a collection is spread over its partitions: which has a key, and how what they number is numbered as a whole.

A partition numbers its records and blocks from 0 on. In a collection of P partitions, number `own` of partition `n` is
called `own * P + n`: so numbers are unique, go up in each partition, and have gaps where partitions are of different
length. With one partition they are as they were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from xxhash import xxh3_64_intdigest

from blockdb.documents.document import Details, Document
from blockdb.types import Block, Change, Record

__all__ = ["Spreading"]


@dataclass(frozen=True, slots=True)
class Spreading:
    """The keys and numbers of a collection of so many partitions. All of it is O(1)."""

    partitions: int

    def of_key(self, key: bytes) -> int:
        """The partition that has a key: for good, since their number never changes."""
        return xxh3_64_intdigest(key) % self.partitions

    def number(self, own: int, partition: int) -> int:
        """What the collection calls a number of a partition."""
        return own * self.partitions + partition

    def parted(self, number: int) -> tuple[int, int]:
        """The other way: what the partition calls a number of the collection, and which partition it is."""
        return divmod(number, self.partitions)

    def first_from(self, number: int, partition: int) -> int:
        """The first number in a partition that is called `number` or more."""
        return max(0, -((partition - number) // self.partitions))

    def last_to(self, number: int, partition: int) -> int:
        """The last number in a partition that is called `number` or less; -1 where there is none."""
        return max(-1, (number - partition) // self.partitions)

    # What has numbers in it, as the collection gives it.

    def record(self, record: Record, partition: int) -> Record:
        """A record of a partition."""
        block = None if record.block is None else self.number(record.block, partition)
        return replace(record, sequence=self.number(record.sequence, partition), block=block)

    def block(self, block: Block, partition: int) -> Block:
        """A block of a partition."""
        return replace(
            block,
            number=self.number(block.number, partition),
            first_sequence=self.number(block.first_sequence, partition),
            step=self.partitions,
        )

    def change(self, change: Change, partition: int) -> Change:
        """A change of a partition."""
        return replace(change, record=self.record(change.record, partition), block=self.number(change.block, partition))

    def document(self, document: Document, partition: int) -> Document:
        """A document of a partition; what is looked up when it is asked for is still looked up then."""

        def details() -> Details:
            found = document.details
            return found._replace(sequence=self.number(found.sequence, partition))

        return Document(document.key, document.value, details)
