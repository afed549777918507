"""Plans about the database as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from msgspec.structs import asdict

from blockdb.alerts import Alert
from blockdb.client.plans.documents import Source, schema_json
from blockdb.client.plans.plan import Ask, Pages, Plan, refuse_author
from blockdb.client.plans.proofs import CollectionPlans
from blockdb.errors import CollectionNotFound, ConfigError, InvalidData
from blockdb.settings import CollectionSettings
from blockdb.statistics import ServerStatistics, Statistics, TransactionInfo
from blockdb.types import Act, Anchor, CollectionInfo, Problem, Publication, Report
from blockdb.wire.messages import collections, proofs, records, server
from blockdb.wire.operation import Nothing

__all__ = ["DatabasePlans", "TotalStats"]

MOST_ACTS: Final = 1_000
"""So many entries of the audit log are given at once."""


class TotalStats(NamedTuple):
    """All collections of users together."""

    collections: int
    documents: int
    size_bytes: int
    """Keys and values."""


class DatabasePlans:
    """Plans about the database as a whole; those about its default collection are `CollectionPlans`."""

    def about(self) -> Plan[server.About]:
        """What is served."""
        found: server.About = yield Ask("about", Nothing())
        return found

    # Collections.

    def create_collection(
        self,
        name: str,
        schema: Source | None,
        settings: CollectionSettings | Mapping[str, Any] | None,
        description: str,
        created_by: str | None,
    ) -> Plan[collections.Located]:
        """Make a collection, and describe it."""
        wanted = collections.CreateCollection(
            name=name,
            description=description,
            schema=None if schema is None else schema_json(schema),
            settings=_members(settings),
            created_by=created_by,
        )
        made = yield Ask("create_collection", wanted)
        return (yield from self.find_collection(made.collection_id))

    def find_collection(self, name_or_id: str) -> Plan[collections.Located]:
        """Id and name of the collection of that name or id. Raises CollectionNotFound."""
        if not name_or_id:
            raise CollectionNotFound(name_or_id)
        found: collections.Located = yield Ask("locate", records.InCollection(collection=name_or_id))
        return found

    def has_collection(self, name_or_id: str) -> Plan[bool]:
        """Whether there is one."""
        try:
            yield from self.find_collection(name_or_id)
        except CollectionNotFound:
            return False
        return True

    def collections(self) -> Plan[tuple[CollectionInfo, ...]]:
        """What there is."""
        found = yield Ask("collections", Nothing())
        return tuple(found.collections)

    def collection_names(self) -> Plan[tuple[str, ...]]:
        """The names of all collections, in order."""
        infos = yield from self.collections()
        return tuple(sorted(info.name for info in infos))

    def drop_collection(self, name_or_id: str, by: str | None) -> Plan[CollectionInfo]:
        """Drop a collection."""
        refuse_author(by)
        found = yield Ask("drop", records.InCollection(collection=name_or_id))
        info: CollectionInfo = found.collection
        return info

    def total_stats(self) -> Plan[TotalStats]:
        """All collections together."""
        found = yield Ask("total_stats", Nothing())
        return TotalStats(found.collections, found.documents, found.size_bytes)

    def stats(self) -> Plan[Statistics]:
        """All that is counted and timed."""
        found = yield Ask("database_statistics", Nothing())
        statistics: Statistics = found.statistics
        return statistics

    def transactions(self) -> Plan[tuple[TransactionInfo, ...]]:
        """Those that are under way."""
        found = yield Ask("transactions", Nothing())
        return tuple(found.transactions)

    def recent_transactions(self) -> Plan[tuple[TransactionInfo, ...]]:
        """Those that ended last."""
        found = yield Ask("transactions", Nothing())
        return tuple(found.ended)

    # Proofs and keys.

    def checkpoint(self, collection: str | None) -> Plan[str]:
        """A signed checkpoint of a collection, or of the database."""
        if collection is not None:
            return (yield from CollectionPlans(collection).checkpoint())
        return str((yield Ask("database_checkpoint", Nothing())).checkpoint)

    def consistency_proof(self, old_size: int, size: int, collection: str | None) -> Plan[tuple[bytes, ...]]:
        """That a tree begins with a smaller one."""
        if collection is not None:
            return (yield from CollectionPlans(collection).consistency_proof(old_size, size))
        wanted = proofs.DatabaseGrowth(old_size=old_size, size=size)
        return tuple((yield Ask("database_consistency", wanted)).hashes)

    def root_at(self, size: int, collection: str | None) -> Plan[bytes]:
        """The root of the tree over the first entries."""
        if collection is not None:
            return (yield from CollectionPlans(collection).root_at(size))
        return bytes((yield Ask("database_root", proofs.DatabaseSize(size=size))).root)

    def keys(self) -> Plan[proofs.Keys]:
        """The keys that sign checkpoints."""
        found: proofs.Keys = yield Ask("keys", Nothing())
        return found

    def verifier_key(self) -> Plan[str]:
        """The key that signs now."""
        return (yield from self.keys()).verifier_key

    def earlier_keys(self) -> Plan[list[str]]:
        """The notes by which keys were handed over."""
        return (yield from self.keys()).earlier

    def public_key(self) -> Plan[bytes]:
        """The key that signs blocks."""
        return (yield from self.keys()).public_key

    def rotate_key(self) -> Plan[str]:
        """Have a new key sign."""
        found = yield Ask("rotate_key", Nothing())
        return str(found.verifier_key)

    # Anchors.

    def anchors(self) -> Plan[tuple[Anchor, ...]]:
        """What remembers the checkpoints."""
        found = yield Ask("anchors", Nothing())
        return tuple(found.anchors)

    def publish(self) -> Plan[Publication]:
        """Give a checkpoint to all anchors."""
        found = yield Ask("publish", Nothing())
        return Publication(found.checkpoint, found.failures)

    def check_anchors(self, further: Iterable[Anchor]) -> Plan[tuple[Problem, ...]]:
        """Hold the history against its anchors."""
        refuse_anchors(further)
        found = yield Ask("check_anchors", Nothing())
        return tuple(found.problems)

    def flush(self) -> Plan[None]:
        """Write everything in memory to tables."""
        yield Ask("flush", Nothing())

    def compact(self) -> Plan[None]:
        """Merge all tables."""
        yield Ask("compact", Nothing())

    def acts(self, limit: int | None, *, after: int, before: int | None, **wanted: Any) -> Pages[Act]:
        """Entries of the audit log."""

        def fetch(cursor: str | None, most: int) -> Plan[tuple[list[Act], str | None]]:
            behind = {} if cursor is None else {"before" if wanted["reverse"] else "after": int(cursor)}
            request = server.Acts(**{"after": after, "before": before, **wanted, **behind}, limit=most)
            found = [_act(entry) for entry in (yield Ask("audit_log", request)).entries]
            return found, str(found[-1].sequence) if len(found) == most else None

        return Pages(fetch, limit, largest=MOST_ACTS)

    # The server.

    def server_statistics(self) -> Plan[ServerStatistics]:
        """What the server counts and times of its own work."""
        found = yield Ask("server_statistics", Nothing())
        statistics: ServerStatistics = found.statistics
        return statistics

    def whoami(self) -> Plan[server.Whoami]:
        """Who is asking, as the server knows them."""
        found: server.Whoami = yield Ask("whoami", Nothing())
        return found

    def alerts(self) -> Plan[tuple[Alert, ...]]:
        """What somebody should look at."""
        found = yield Ask("alerts", Nothing())
        return tuple(found.alerts)


def _act(entry: server.Entered) -> Act:
    fields = asdict(entry)
    return Act(keys=fields.pop("key_count"), **fields)


def refuse_anchors(further: Iterable[Anchor]) -> None:
    """Raises InvalidData where anchors are given that only somebody beside the server could ask."""
    if tuple(further):
        raise InvalidData("anchors: a server holds its history against those anchors alone that it was given itself.")


def refuse(what: str) -> InvalidData:
    """The error for what can be done beside the database alone."""
    return InvalidData(f"{what} is done where the database is, not over the network: use `blockdb.open` there.")


def _members(settings: CollectionSettings | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The settings that are not as they are anyway."""
    if settings is None:
        return None
    if isinstance(settings, CollectionSettings):
        usual = CollectionSettings()
        return {name: value for name, value in vars(settings).items() if value != getattr(usual, name)}
    try:
        return dict(settings)
    except (TypeError, ValueError):
        raise ConfigError("settings: they are a dict, or a CollectionSettings.") from None


def report_of(answers: Iterable[server.Audited]) -> Report | None:
    """The report among what an audit told."""
    return next((answer.report for answer in answers if answer.report is not None), None)
