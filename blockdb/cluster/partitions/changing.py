"""Storing in a collection of several partitions, erasing there, and what of it all partitions have to be told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from blockdb.cluster.database.context import as_request, new_command_id
from blockdb.cluster.partitions.merging import each
from blockdb.cluster.partitions.schemas import SchemasOfParts
from blockdb.cluster.partitions.summing import indexes_of
from blockdb.database.collection import Collection
from blockdb.database.documents import Given
from blockdb.documents.values import encode, plain
from blockdb.errors import BlockDBError, DuplicateIndex, IndexNotFound, InvalidData, KeyNotFound, Redacted
from blockdb.format.checks import check_key, check_records, unzipped
from blockdb.interface import AnyCollection
from blockdb.types import IndexInfo, Redaction

__all__ = ["ChangingCollection", "CommitWhole"]

CommitWhole = Callable[[Sequence[tuple[int, Sequence[tuple[bytes, bytes]]]]], Sequence[Sequence[int]]]
"""Stores batches in several partitions, given by their numbers, all of them or none; gives what each numbers them."""

T = TypeVar("T")


class ChangingCollection(SchemasOfParts):
    """What is changed in a collection of several partitions. `PartitionedCollection` has the rest."""

    def __init__(
        self,
        collection_id: str,
        name: str,
        parts: Callable[[], Sequence[AnyCollection]],
        commit_whole: CommitWhole,
    ) -> None:
        """`parts` gives the collection of each partition, by their numbers: as many each time."""
        super().__init__(collection_id, name, parts)
        self._commit_whole = commit_whole

    # Storing.

    def put(self, key: bytes, value: Given, *, sync: bool = False) -> int:
        """See `Collection.put`."""
        number = self._parts.number_of(key)
        return self._spreading.number(self._parts.current()[number].put(key, value, sync=sync), number)

    def put_many(self, items: Iterable[tuple[bytes, Given]], *, sync: bool = False) -> Sequence[int]:
        """See `Collection.put_many`: all of it or nothing, also where it is of several partitions.

        The numbers are in the order of the items.
        """
        if (only := self._parts.only) is not None:
            return only.put_many(items, sync=sync)
        given = _batch(items)
        places = self._by_partition([key for key, _ in given])
        wanted = [(number, [given[at] for at in here]) for number, here in places.items()]
        if not wanted:
            return ()
        if len(wanted) == 1:
            [(number, own)] = wanted
            stored = [self._parts.current()[number].put_many(own, sync=sync)]
        else:
            stored = list(self._commit_whole(wanted))
        became: list[int] = [0] * len(given)
        for (number, here), sequences in zip(places.items(), stored, strict=True):
            for at, sequence in zip(here, sequences, strict=True):
                became[at] = self._spreading.number(sequence, number)
        return became

    def put_each(
        self, items: Iterable[tuple[bytes, bytes]], names: Sequence[bytes | None] | None = None, *, sync: bool = False
    ) -> list[int | BlockDBError | None]:
        """Store records, each for itself, in all partitions at once: see `ReplicatedCollection.put_each`.

        What is of a partition that another node keeps is not tried: it is for `put`.
        """
        given = list(items)
        became: list[int | BlockDBError | None] = [None] * len(given)
        known: list[int] = []
        for at, (key, _) in enumerate(given):
            try:
                check_key(key)
                known.append(at)
            except InvalidData as error:
                became[at] = error
        own = self._by_partition([given[at][0] for at in known])
        places = {number: [known[at] for at in here] for number, here in own.items()}

        def store(number: int, here: Sequence[int]) -> list[int | BlockDBError | None]:
            part = self._parts.current()[number]
            put_each = getattr(part, "put_each", None)
            if put_each is None:
                return [None] * len(here)
            named = () if names is None else ([names[at] for at in here],)
            stored = put_each([given[at] for at in here], *named)
            return [self._spreading.number(one, number) if isinstance(one, int) else one for one in stored]

        calls = [partial(_caught, partial(store, number, here), len(here)) for number, here in places.items()]
        for here, stored in zip(places.values(), each(calls), strict=True):
            for at, one in zip(here, stored, strict=True):
                became[at] = one
        return became

    def values_of(self, items: Sequence[tuple[bytes, Given]]) -> list[bytes]:
        """See `Collection.values_of`. Raises InvalidData where a partition is kept by another node."""
        values = [b""] * len(items)
        for number, here in self._by_partition([key for key, _ in items]).items():
            part = self._parts.current()[number]
            if not isinstance(part, Collection):
                raise InvalidData(f"{self.name}:{number} is kept by another node, which alone knows what it stores.")
            for at, value in zip(here, part.values_of([items[at] for at in here]), strict=True):
                values[at] = value
        return values

    def _by_partition(self, keys: Sequence[bytes]) -> dict[int, list[int]]:
        """Where the keys of each partition stand. Raises InvalidData for what can be no key."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        for at, key in enumerate(keys):
            found[self._parts.number_of(key)].append(at)
        return dict(sorted(found.items()))

    # Erasing.

    def redact_many(self, keys: Iterable[bytes], *, reason: str, by: str | None = None) -> Redaction:
        """See `Collection.redact_many`. All keys are looked at first, then one partition follows the other.

        Where a partition fails, those before it have erased their values: the error says so, and the rest may be
        asked for again.
        """
        wanted = list(keys)
        if (only := self._parts.only) is not None:
            return only.redact_many(wanted, reason=reason, by=by)
        places = self._by_partition(wanted)
        for key in wanted if len(places) > 1 else ():
            self._check_redactable(key)
        sequences: list[int] = []
        files, is_quarantined = 0, False
        for number, here in places.items():
            part = self._parts.current()[number]
            try:
                done = part.redact_many([wanted[at] for at in here], reason=reason, by=by)
            except BlockDBError as error:
                if sequences:
                    error.add_note(f"{len(sequences)} values of other partitions of {self.name} were erased before.")
                raise
            sequences += [self._spreading.number(sequence, number) for sequence in done.sequences]
            files += done.files
            is_quarantined |= done.quarantined
        return Redaction(tuple(sorted(sequences)), files, is_quarantined)

    def _check_redactable(self, key: bytes) -> None:
        found = self._parts.of_key(key).record(key)
        if found is None:
            raise KeyNotFound(key)
        if found.redacted:
            raise Redacted(key)

    # Indexes.

    def create_index(
        self, name: str, fields: Iterable[str], unique: bool = False, sparse: bool = False, *, by: str | None = None
    ) -> IndexInfo:
        """See `Collection.create_index`: in all partitions, or in none. Of several, none can be `unique`.

        Where it is in some of them since earlier this could not be ended, it is made in the others.
        """
        paths = (fields,) if isinstance(fields, str) else tuple(fields)
        if unique and self._parts.count > 1:
            raise InvalidData(
                f"{self.name} has {self._parts.count} partitions, and none knows the values of the others: an index "
                "cannot be unique. Make what has to be unique the key."
            )
        self._all_or_none(
            lambda part: self._make_index(part, name, paths, unique, sparse, by),
            lambda part: part.drop_index(name, by=by),
            DuplicateIndex,
            name,
        )
        return next(info for info in self.indexes() if info.name == name)

    def _make_index(
        self, part: AnyCollection, name: str, paths: tuple[str, ...], unique: bool, sparse: bool, by: str | None
    ) -> None:
        try:
            part.create_index(name, paths, unique, sparse, by=by)
        except DuplicateIndex:
            found = next((info for info in part.indexes() if info.name == name), None)
            if found is not None and (found.fields, found.unique, found.sparse) != (paths, unique, sparse):
                raise InvalidData(
                    f"A partition of {self.name} has another index {name}. Drop it, and make it anew."
                ) from None
            raise

    def drop_index(self, name: str, *, by: str | None = None) -> None:
        """See `Collection.drop_index`: from all partitions. Asked again, it goes on where it could not be ended."""
        self._all_or_none(lambda part: part.drop_index(name, by=by), None, IndexNotFound, name)

    def indexes(self) -> tuple[IndexInfo, ...]:
        """See `Collection.indexes`. One that is not in all partitions yet is `building`."""
        return indexes_of(self._parts.each(lambda part: part.indexes()))

    def _all_or_none(
        self,
        do: Callable[[AnyCollection], None],
        undo: Callable[[AnyCollection], None] | None,
        is_done: type[BlockDBError],
        what: str,
    ) -> None:
        """Do something in all partitions; where it fails in one, undo it in those where it was done just now.

        `is_done` is what is raised where it was done before: by all partitions, it is an error.
        """

        def attempt(part: AnyCollection, name: bytes) -> BlockDBError | None:
            try:
                with as_request(name):
                    do(part)
            except BlockDBError as error:
                return error
            return None

        parts = list(self._parts.current())
        calls = [partial(attempt, part, new_command_id()) for part in parts]
        errors = [calls[0]()]
        if errors[0] is None or isinstance(errors[0], is_done):  # what is wrong is nearly always wrong in the first
            errors += each(calls[1:])
        failed = [error for error in errors if error is not None and not isinstance(error, is_done)]
        if failed:
            for part, error in zip(parts, errors, strict=False):
                if error is None and undo is not None:
                    self._undo(undo, part, failed[0])
            raise failed[0]
        if (first := errors[0]) is not None and None not in errors:
            raise first

    def _undo(self, undo: Callable[[AnyCollection], None], part: AnyCollection, error: BlockDBError) -> None:
        try:
            undo(part)
        except BlockDBError as failure:
            error.add_note(f"A partition of {self.name} could not be put back to what it was: {failure}")


def _batch(items: Iterable[tuple[bytes, Given]]) -> list[tuple[bytes, bytes]]:
    """A batch as it is stored, unless a schema says more of it. Raises InvalidData."""
    keys, given = unzipped(list(items))
    values = tuple(encode(plain(value)) if isinstance(value, Mapping) else value for value in given)
    return list(zip(*check_records(keys, values), strict=True))


def _caught(call: Callable[[], list[Any]], count: int) -> list[Any]:
    """What a call gives; its error for each where it raises one."""
    try:
        return call()
    except BlockDBError as error:
        return [error] * count
