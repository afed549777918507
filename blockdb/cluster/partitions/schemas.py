"""The schema of a collection of several partitions: in force in all of them, one after the other."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from blockdb.cluster.partitions.merging import each
from blockdb.cluster.partitions.whole import WholeCollection
from blockdb.database.schemas import Source, schema_of
from blockdb.documents.evolution import require_compatible
from blockdb.documents.schema import Schema, SchemaVersion
from blockdb.documents.validator import Validator
from blockdb.documents.values import parse
from blockdb.errors import InvalidData, Unavailable
from blockdb.interface import AnyCollection
from blockdb.types import REDACTED

__all__ = ["SchemasOfParts"]


class SchemasOfParts(WholeCollection):
    """What is expected of the documents of a collection. `PartitionedCollection` has the rest."""

    @property
    def schema(self) -> Schema | None:
        """See `Collection.schema`."""
        return self._parts.current()[0].schema

    def schemas(self) -> tuple[SchemaVersion, ...]:
        """See `Collection.schemas`. A version holds from `first_sequence` on in one partition, soon after in others."""
        found = self._parts.current()[0].schemas()
        number = self._spreading.number
        return tuple(replace(version, first_sequence=number(version.first_sequence, 0)) for version in found)

    def schema_version(self, sequence: int) -> int | None:
        """See `Collection.schema_version`."""
        own, partition = self._spreading.parted(sequence)
        return self._parts.current()[partition].schema_version(own)

    def set_schema(self, schema: Source, *, by: str | None = None) -> SchemaVersion:
        """See `Collection.set_schema`: records of all partitions are looked at first, then one follows the other.

        Where that could not be ended, the error says so: the same schema is to be set again, and then is in the others.
        """
        if (only := self._parts.only) is not None:
            return only.set_schema(schema, by=by)
        wanted = schema_of(schema)
        self._check(wanted)
        parts = self._parts.current()
        versions = self._parts.each(lambda part: part.schemas())
        newest = max(map(len, versions))
        behind = [n for n, known in enumerate(versions) if len(known) < newest]
        if behind:
            in_force = next(known[-1].schema for known in versions if len(known) == newest)
            if wanted.numbered(1) != in_force.numbered(1):
                raise InvalidData(
                    f"A schema of {self.name} is in force in some partitions alone, since it could not be set in the "
                    "others. Set that one again first."
                )
        todo = behind or range(len(parts))
        self._look([parts[n] for n in todo], versions[todo[0]], wanted)
        for n in todo:
            self._set(n, parts[n], wanted, by)
        return self.schemas()[-1]

    def _check(self, wanted: Schema) -> None:
        if any(index.unique for index in wanted.indexes):
            raise InvalidData(
                f"{self.name} has {self._parts.count} partitions: no index of its schema can be unique. Make what has "
                "to be unique the key."
            )

    def _look(self, parts: list[AnyCollection], known: tuple[SchemaVersion, ...], wanted: Schema) -> None:
        """Raises InvalidData where the schema cannot follow, or some record is not valid under it. O(records)."""
        if not known or require_compatible(known[-1].schema, wanted):
            each([partial(_look_at, part, wanted.validator()) for part in parts])

    def _set(self, number: int, part: AnyCollection, wanted: Schema, by: str | None) -> None:
        try:
            part.set_schema(wanted, by=by)
        except (InvalidData, Unavailable) as error:
            if number == 0:
                raise
            kind = Unavailable if isinstance(error, Unavailable) else InvalidData
            raise kind(
                f"Partition {number} of {self.name} has not taken the schema, which is in force in those before it: "
                f"set it again. {error}"
            ) from None


def _look_at(part: AnyCollection, validator: Validator) -> None:
    for key, value in part.scan():
        if value is not REDACTED:
            try:
                validator.demand(parse(value))
            except InvalidData as error:
                shown = key.decode("utf-8", "backslashreplace")
                raise InvalidData(
                    f"The schema was not set: the record of key '{shown}' is not valid under it. {error}"
                ) from None
