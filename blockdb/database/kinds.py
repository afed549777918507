"""Whether a handle is of a collection or of a database, which is its default collection too."""

from __future__ import annotations

from blockdb.database.collection import Collection
from blockdb.database.database import Database

__all__ = ["kind_of"]


def kind_of(collection: Collection) -> type[Collection]:
    """The class whose methods are about a collection alone: it may be a database, which has others of the same names.

    `kind_of(collection).flush(collection)` flushes the default collection where the database itself would flush all.
    """
    found = (
        kind for kind in type(collection).__mro__ if issubclass(kind, Collection) and not issubclass(kind, Database)
    )
    return next(found)
