"""The interface of a database, which the embedded one and the remote one both have: types, and nothing else."""

from blockdb.interface.collection import AnyCollection, AnyFeed, AnyResults
from blockdb.interface.database import AnyDatabase, AnyTransaction

__all__ = ["AnyCollection", "AnyDatabase", "AnyFeed", "AnyResults", "AnyTransaction"]
