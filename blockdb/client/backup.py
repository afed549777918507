"""A backup that a server makes, taken from here."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

from blockdb.client.carrying import FAILURES, failure_of
from blockdb.client.link import Link
from blockdb.client.plans.plan import Ask
from blockdb.errors import Unavailable
from blockdb.interface.backups import Older, read_older
from blockdb.wire.messages.server import Backup, BackupSince

__all__ = ["RemoteBackup", "asked_backup"]


def asked_backup(signing_key: bool, since: Older | None) -> Ask:
    """What a server is asked for. Raises InvalidData for a file that is no backup, StorageError."""
    if since is None:
        return Ask("backup", Backup(signing_key=signing_key))
    header = read_older(since)
    assert header is not None, "one was named"
    return Ask("backup_since", BackupSince(since=header.encode().decode(), signing_key=signing_key))


class RemoteBackup(Iterator[bytes]):
    """The bytes for `blockdb.restore`, as they come: see `blockdb.Database.backup`. For one thread.

    Iterating raises Unavailable where it breaks off; what came until then is no backup.
    """

    def __init__(self, link: Link, asked: Ask) -> None:
        self._link = link
        self._reply = link.open(asked)
        self._pieces = self._reply.pieces()
        self.done_bytes = 0
        """How many have come."""

    def __next__(self) -> bytes:
        try:
            piece = next(self._pieces)
        except FAILURES as error:
            self._link.check_open()
            raise Unavailable(f"The backup broke off: {failure_of(error).what}.") from None
        self.done_bytes += len(piece)
        return piece

    def close(self) -> None:
        """Let go of the connection, whether all has come or not."""
        self._reply.close()

    def __enter__(self) -> RemoteBackup:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
