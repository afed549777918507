"""What `root` says that there is: the collections, and the key that all partitions sign with."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from blockdb.cluster.database.context import reading
from blockdb.cluster.database.front import Front
from blockdb.cluster.partitions.engine import partition_name
from blockdb.database.proofs import keys
from blockdb.errors import CollectionNotFound
from blockdb.storage.metadata import PREFIX, Metadata

__all__ = ["Registry", "collection_of"]


def collection_of(partition: str) -> tuple[str, int]:
    """The id of the collection to which a partition belongs, and which one it is. Raises ValueError."""
    uuid, _, number = partition.rpartition("-")
    return PREFIX + str(UUID(hex=uuid)), int(number)


class Registry:
    """Reads the database of `root` as this node has it. Safe for threads."""

    def __init__(self, front: Front) -> None:
        self._front = front

    def find(self, collection_id: str) -> Metadata | None:
        """What a collection is; None where this node does not know it, or not yet. Raises Unavailable."""
        try:
            return self._front.core.catalog.metadata(collection_id)
        except CollectionNotFound:
            return None

    def is_gone(self, collection_id: str) -> bool:
        """Whether there is no such collection, as of now in the whole cluster. Raises Unavailable."""
        with reading("Linearizable"):
            self._front.confirm()
        return self.find(collection_id) is None

    def all(self) -> list[Metadata]:
        """All collections of users that this node knows. Raises Unavailable."""
        catalog = self._front.core.catalog
        found = []
        for _, collection_id in sorted(catalog.own_and_others()[1].items()):
            with suppress(CollectionNotFound):  # dropped meanwhile
                found.append(catalog.metadata(collection_id))
        return found

    def partitions_of(self, metadata: Metadata) -> list[str]:
        """The names of the partitions of a collection, in order."""
        return [partition_name(metadata.uuid, number) for number in range(metadata.settings.partitions)]

    @property
    def signing_seed(self) -> bytes:
        """The secret bytes of the key that the whole cluster signs with. Raises Unavailable."""
        core = self._front.core
        return keys.load_own_signer(core.door, core.files).seed

    @property
    def signs_as(self) -> str:
        """The name under which the whole cluster signs. Raises Unavailable."""
        return self._front.core.notary.name

    @property
    def is_encrypted(self) -> bool:
        """Whether everything that holds data is encrypted on the disk."""
        return self._front.core.door.is_sealing
