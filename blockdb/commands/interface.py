"""A statement for mypy: what commands work with is the same, embedded or on a server. Nothing runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blockdb import Collection, Database, Feed, RemoteCollection, RemoteDatabase, Results, Transaction
    from blockdb.client.feed import RemoteFeed
    from blockdb.client.results import RemoteResults
    from blockdb.client.transaction import RemoteTransaction
    from blockdb.interface import AnyCollection, AnyDatabase, AnyFeed, AnyResults, AnyTransaction

    def database(embedded: Database, remote: RemoteDatabase) -> tuple[AnyDatabase, AnyDatabase]:
        """One interface."""
        return embedded, remote

    def collection(embedded: Collection, remote: RemoteCollection) -> tuple[AnyCollection, AnyCollection]:
        """One interface."""
        return embedded, remote

    def transaction(embedded: Transaction, remote: RemoteTransaction) -> tuple[AnyTransaction, AnyTransaction]:
        """One interface."""
        return embedded, remote

    def feed(embedded: Feed, remote: RemoteFeed) -> tuple[AnyFeed, AnyFeed]:
        """One interface."""
        return embedded, remote

    def results(embedded: Results, remote: RemoteResults) -> tuple[AnyResults, AnyResults]:
        """One interface."""
        return embedded, remote
