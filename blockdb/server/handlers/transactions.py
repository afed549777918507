"""Transactions that clients have open."""

from __future__ import annotations

from itertools import islice

from blockdb.errors import InvalidData
from blockdb.server.handlers.queries import written
from blockdb.server.handlers.records import MOST_ITEMS
from blockdb.server.service import Session
from blockdb.types import REDACTED
from blockdb.wire.messages import records, transactions
from blockdb.wire.operation import DEFAULT_COLLECTION, Nothing


def begin(session: Session, request: transactions.Begin) -> transactions.Begun:
    """Begin one."""
    id_, timeout_s = session.service.transactions.begin(session.principal, request.timeout_s)
    return transactions.Begun(transaction=id_, timeout_s=timeout_s)


def under_way(session: Session, request: Nothing) -> transactions.Transactions:
    """Those that are under way."""
    database = session.database
    return transactions.Transactions(
        transactions=list(database.transactions()), ended=list(database.recent_transactions())
    )


def put(session: Session, request: transactions.TransactionPut) -> Nothing:
    """Have it store records."""
    with session.transaction(request.transaction) as transaction:
        items = [(item.key, item.value) for item in request.items]
        transaction.put_many(items, collection=_named(request.collection))
    return Nothing()


def get(session: Session, request: transactions.TransactionKey) -> records.Found:
    """Read a value."""
    with session.transaction(request.transaction) as transaction:
        value = transaction.get(request.key, collection=_named(request.collection))
    return records.Found(found=value is not None, key=request.key, value=value)


def exists(session: Session, request: transactions.TransactionKey) -> records.Existence:
    """Whether a key is stored."""
    with session.transaction(request.transaction) as transaction:
        return records.Existence(exists=transaction.exists(request.key, collection=_named(request.collection)))


def scan(session: Session, request: transactions.TransactionScan) -> records.Page:
    """A range: all of it at once, since it is locked then anyway."""
    with session.transaction(request.transaction) as transaction:
        found = transaction.scan(
            prefix=request.prefix,
            start=request.start,
            end=request.end,
            limit=request.limit,
            offset=request.offset,
            reverse=request.reverse,
            collection=_named(request.collection),
        )
        items = [
            records.ScannedItem(key=key, redacted=True)
            if value is REDACTED
            else records.ScannedItem(key=key, value=value)
            for key, value in islice(found, MOST_ITEMS + 1)
        ]
    _check_count(len(items))
    return records.Page(items=items)


def find(session: Session, request: transactions.TransactionFind) -> transactions.TransactionDocuments:
    """Documents, all of them at once."""
    with session.transaction(request.transaction) as transaction:
        found = transaction.find(
            request.where,
            request.parameters,
            order=request.order,
            limit=request.limit,
            offset=request.offset,
            fields=request.fields,
            collection=_named(request.collection),
        )
        documents = [written(document, with_details=True) for document in islice(found, MOST_ITEMS + 1)]
    _check_count(len(documents))
    return transactions.TransactionDocuments(documents=documents)


def commit(session: Session, request: transactions.Commit) -> transactions.Committed:
    """Store all that it wrote, or nothing."""
    with session.transaction(request.transaction, is_last=True) as transaction:
        done = transaction.commit(sync=request.sync)
    made = [transactions.CollectionCommit(collection=name, **records.run_of(stored)) for name, stored in done.items()]
    return transactions.Committed(collections=made)


def abort(session: Session, request: transactions.ByTransaction) -> Nothing:
    """Give it up."""
    session.service.transactions.abort(session.principal, request.transaction)
    return Nothing()


def _named(collection: str) -> str | None:
    return None if collection == DEFAULT_COLLECTION else collection


def _check_count(count: int) -> None:
    if count > MOST_ITEMS:
        raise InvalidData(f"Within a transaction at most {MOST_ITEMS:,} are given at once. Give a limit.")
