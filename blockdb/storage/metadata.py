"""What a collection is, and which collections there are. Format page: docs/formats/metadata.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from blockdb.errors import Corruption
from blockdb.format.limits import MAX_VALUE_BYTES
from blockdb.settings import CollectionSettings
from blockdb.storage.door import Door
from blockdb.storage.manifest import load_checked, save_checked

PREFIX: Final = "col_"
METADATA: Final = "collection"
REGISTRY: Final = "registry"
PENDING: Final = "pending event"
RESTORED: Final = "restored database"

UNLIMITED: Final = CollectionSettings(max_document_size=MAX_VALUE_BYTES)
"""The settings of collections that nobody gave any."""


@dataclass(frozen=True)
class SchemaEntry:
    """A version of the schema of a collection."""

    version: int
    """From 1, without a gap."""
    first_sequence: int
    """The first record that was, or will be, written under it."""
    time_ms: int
    by: str
    schema: str
    """Its JSON form."""
    is_told: bool = False
    """Whether the journal tells of it, and the indexes that it names were made."""


@dataclass(frozen=True)
class Metadata:
    """What a collection is: settings that are fixed when it is created, and its schemas, of which there may be more."""

    id: str
    """`col_` and a UUID: also the name of its directory."""
    name: str
    created_at: int
    """Unix time in seconds."""
    blockchain_batch_size: int
    """Records in a block. Fixed, since the hashes of all blocks follow from it."""
    redactable: bool = False
    """Whether leaves commit to a salted hash of the value, so that the value can be erased."""
    encrypted: bool = False
    """Whether its files are sealed, see blockdb.format.sealed."""
    description: str = ""
    created_by: str = ""
    settings: CollectionSettings = field(default_factory=CollectionSettings)
    """What it was told beyond that."""
    schemas: tuple[SchemaEntry, ...] = ()
    """All versions of its schema, the oldest first; none where values are any bytes."""

    @property
    def uuid(self) -> bytes:
        """The 16 bytes of the UUID, as they stand in every file of the collection."""
        return UUID(self.id.removeprefix(PREFIX)).bytes


def save_metadata(door: Door, path: Path, metadata: Metadata) -> None:
    """Write the metadata of a collection."""
    values = asdict(metadata)
    values["settings"] = {key: value for key, value in values["settings"].items() if value is not None}
    if metadata.settings.partitions == 1:
        del values["settings"]["partitions"]
    if not metadata.schemas:
        del values["schemas"]
    save_checked(door, path, METADATA, values)


def load_metadata(door: Door, path: Path) -> Metadata:
    """The metadata of a collection. Raises Corruption."""
    try:
        values = load_checked(door, path, METADATA)
        schemas = tuple(SchemaEntry(**entry) for entry in values.pop("schemas", ()))
        metadata = Metadata(**{**values, "settings": _settings(values.get("settings"))}, schemas=schemas)
        _ = metadata.uuid
    except (TypeError, ValueError) as error:
        raise Corruption(str(path), None, f"its contents are not those of a collection: {error}") from None
    return metadata


def _settings(values: dict[str, Any] | None) -> CollectionSettings:
    """The settings; a collection that was made before there were any takes every value."""
    return UNLIMITED if values is None else CollectionSettings(**values)


def save_registry(door: Door, path: Path, names: dict[str, str]) -> None:
    """Write the registry: collection id by name."""
    save_checked(door, path, REGISTRY, {"collections": names})


def load_registry(door: Door, path: Path) -> dict[str, str]:
    """Collection ids by name. Raises Corruption."""
    names = load_checked(door, path, REGISTRY).get("collections")
    if not isinstance(names, dict) or not all(isinstance(value, str) for value in names.values()):
        raise Corruption(str(path), None, "its contents are not those of a registry")
    return names


def save_pending(door: Door, path: Path, event: Mapping[str, Any]) -> None:
    """Write what the journal is to say of a collection that is being made or dropped."""
    save_checked(door, path, PENDING, {"event": json.dumps(event)})


def load_pending(door: Door, path: Path) -> dict[str, Any]:
    """What the journal is to say. Raises Corruption."""
    try:
        event = json.loads(load_checked(door, path, PENDING)["event"])
        _ = event["event"], event["collection"]
    except (KeyError, TypeError, ValueError) as error:
        raise Corruption(str(path), None, f"its contents are not those of an event: {error}") from None
    assert isinstance(event, dict)
    return event


def uuid_of(collection_id: str) -> str:
    """The UUID in the id of a collection, as states and origins have it."""
    return str(UUID(collection_id.removeprefix(PREFIX)))
