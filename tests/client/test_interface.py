"""One interface, three doors: the embedded database, the remote one, and its twin for event loops do not drift."""

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

import blockdb
from blockdb.client.aio.cluster import AsyncCluster
from blockdb.client.aio.collection import AsyncCollection
from blockdb.client.aio.database import AsyncDatabase
from blockdb.client.aio.feed import AsyncFeed
from blockdb.client.aio.results import AsyncResults
from blockdb.client.aio.tokens import AsyncTokens
from blockdb.client.aio.transaction import AsyncTransaction
from blockdb.client.cluster import RemoteCluster
from blockdb.client.collection import RemoteCollection
from blockdb.client.database import RemoteDatabase
from blockdb.client.feed import RemoteFeed
from blockdb.client.results import RemoteResults
from blockdb.client.tokens import RemoteTokens
from blockdb.client.transaction import RemoteTransaction
from blockdb.wire.table import BY_NAME

TRIPLES = [
    (blockdb.Collection, RemoteCollection, AsyncCollection),
    (blockdb.Database, RemoteDatabase, AsyncDatabase),
    (blockdb.Transaction, RemoteTransaction, AsyncTransaction),
    (blockdb.Feed, RemoteFeed, AsyncFeed),
    (blockdb.Results, RemoteResults, AsyncResults),
]
REMOTE_PAIRS = [*TRIPLES, (None, RemoteCluster, AsyncCluster), (None, RemoteTokens, AsyncTokens)]
EMBEDDED_ONLY = {
    "anchored",
    "audit_log",
    "begin_audit_log_anew",
    "config",
    "follow_acts",
    "has_room",
    "journal_audit_log",
    "keys_written",
    "number_transactions_from",
    "open_collections",
    "put_each",
    "record_act",
    "record_index",
    "secret_for",
    "trace",
    "values_of",
}
"""What is about the process that has the database open, or for a server to work with."""
REMOTE_ONLY = {"alerts", "cluster", "path", "proven_records", "server_statistics", "tokens", "url", "whoami"}
"""What is about the server; `path` is an attribute of the embedded one."""
OPERATORS = {"__contains__", "__getitem__"}


def public(cls: type) -> dict[str, Any]:
    """What users call, by name."""
    names = {name for name in dir(cls) if not name.startswith("_")} | (OPERATORS & set(dir(cls)))
    return {name: inspect.getattr_static(cls, name) for name in names}


def parameters(member: Any) -> Any:
    """Names, kinds and defaults; for a property, that it is one."""
    if isinstance(member, property):
        return "property"
    function = inspect.unwrap(member)
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize(("embedded", "remote", "_async"), TRIPLES, ids=lambda cls: getattr(cls, "__name__", ""))
def test_the_remote_interface_is_the_embedded_one(embedded: type, remote: type, _async: type) -> None:
    wanted, found = public(embedded), public(remote)
    assert wanted.keys() - EMBEDDED_ONLY == found.keys() - REMOTE_ONLY
    for name in wanted.keys() - EMBEDDED_ONLY:
        assert parameters(found[name]) == parameters(wanted[name]), name


@pytest.mark.parametrize(("_embedded", "remote", "twin"), REMOTE_PAIRS, ids=lambda cls: getattr(cls, "__name__", ""))
def test_the_twin_for_event_loops_has_the_same_names(_embedded: type, remote: type, twin: type) -> None:
    wanted, found = public(remote), public(twin)
    assert wanted.keys() - {"__contains__"} == found.keys() - {"begin"}
    for name in wanted.keys() - {"__contains__"}:
        assert parameters(found[name]) == parameters(wanted[name]), name


HERE = {
    "close",
    "cluster",
    "get_transaction",
    "id",
    "is_active",
    "is_over",
    "name",
    "path",
    "position",
    "proven_records",
    "tokens",
    "url",
}
"""What needs no server."""
REFUSED = {"add_anchor", "delete", "export_tiles", "part", "remove_anchor", "moment", "sequence_at", "with_anchors"}
ITERATORS = {"acts", "backup", "blocks", "earlier_keys", "events", "find", "keys", "records", "scan"}


@pytest.mark.parametrize("twin", [AsyncCluster, AsyncCollection, AsyncDatabase, AsyncTokens, AsyncTransaction])
def test_what_has_to_be_waited_for_is_awaited(twin: type) -> None:
    for name, member in public(twin).items():
        function = member.fget if isinstance(member, property) else member
        if name in HERE | REFUSED | ITERATORS and name != "close":
            assert not inspect.iscoroutinefunction(function), name
        else:
            assert inspect.iscoroutinefunction(function), name


def test_every_method_says_where_it_is_documented() -> None:
    for _, *classes in TRIPLES:
        for cls in classes:
            for name, member in public(cls).items():
                assert inspect.getdoc(member), f"{cls.__name__}.{name}"


def asked(source: str) -> Iterator[str]:
    """The operations that a module asks for."""
    for piece in source.split('Ask("')[1:]:
        yield piece.partition('"')[0]


def test_every_operation_that_is_asked_for_is_there() -> None:
    from blockdb.client import feed
    from blockdb.client.aio import feed as twin
    from blockdb.client.plans import cluster, database, documents, proofs, records, tokens, transactions, verifying

    modules = (cluster, database, documents, feed, proofs, records, tokens, transactions, twin, verifying)
    names = {name for module in modules for name in asked(inspect.getsource(module))}
    assert len(names) > 40
    assert names <= BY_NAME.keys()
