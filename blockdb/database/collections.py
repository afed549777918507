"""Making and dropping collections."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any, Final

from blockdb.database import creation
from blockdb.database.catalog import OWN_PREFIX
from blockdb.database.core import Core
from blockdb.database.redaction import login_name
from blockdb.database.schemas import Source, new_entry, schema_of
from blockdb.errors import ConfigError, InvalidData
from blockdb.settings import CollectionSettings
from blockdb.storage.metadata import PREFIX, Metadata

MAX_NAME_BYTES: Final = 255

_NAME: Final = re.compile(r"[^\s/\x00-\x1f\x7f]+(?: [^\s/\x00-\x1f\x7f]+)*")
_SETTINGS: Final = frozenset(asdict(CollectionSettings()))


def new_metadata(
    core: Core,
    name: str,
    settings: CollectionSettings | dict[str, Any] | None,
    description: str,
    created_by: str | None,
    schema: Source | None = None,
) -> Metadata:
    """What a collection that a user asks for is to be. Raises InvalidData, ConfigError."""
    check_name(name)
    given = checked_settings(core, settings)
    metadata = creation.new_metadata(
        core.door,
        name,
        core.config.blockchain_batch_size,
        redactable=core.config.redactable if given.redactable is None else given.redactable,
        settings=given,
        description=description,
        created_by=login_name() if created_by is None else created_by,
        surroundings=core.catalog.surroundings,
    )
    if schema is None:
        return metadata
    return replace(metadata, schemas=(new_entry(core, schema_of(schema), None, metadata.created_by),))


def checked_settings(core: Core, settings: CollectionSettings | dict[str, Any] | None) -> CollectionSettings:
    """The settings that a collection is to have. Raises ConfigError, naming the key, for what cannot be done."""
    given = settings if isinstance(settings, CollectionSettings) else _from(settings or {})
    if given.encryption_enabled not in (None, core.door.is_sealing):
        is_ = "encrypted" if core.door.is_sealing else "not encrypted"
        raise ConfigError(
            f"encryption_enabled: this database is {is_}, and so are all of its collections. Leave the setting out."
        )
    return given


def check_name(name: str) -> None:
    """Raises InvalidData for what cannot be the name of a collection."""
    if not _NAME.fullmatch(name) or len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidData(
            f"A collection cannot be called {name!r}: a name is 1 to {MAX_NAME_BYTES} bytes of text without slashes, "
            "control characters, or blanks at its ends."
        )
    if name.startswith((OWN_PREFIX, PREFIX)):
        raise InvalidData(f"Names that begin with {OWN_PREFIX} or {PREFIX} are the database's own; choose another one.")


def _from(settings: dict[str, Any]) -> CollectionSettings:
    for key in settings:
        if key not in _SETTINGS:
            raise ConfigError(
                f"{key}: there is no such setting; those of a collection are {', '.join(sorted(_SETTINGS))}."
            )
    return CollectionSettings(**settings)
