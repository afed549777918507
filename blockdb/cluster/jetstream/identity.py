"""Which stream a database was made from: one that was removed and made again is another one, whatever its name."""

from __future__ import annotations

from typing import Final

from blockdb.errors import ConfigError
from blockdb.layout import RaftFiles
from blockdb.storage.door import Door
from blockdb.storage.manifest import load_checked, save_checked

__all__ = ["hold_to"]

_KIND: Final = "stream"


def hold_to(door: Door, files: RaftFiles, stream: str, created: str, *, is_empty: bool) -> None:
    """Remember which stream it is that a directory's database follows, or insist that it is that one still.

    An empty one may follow any. `created` is when the server made it. Raises ConfigError, Corruption, StorageError.
    """
    if door.inode(files.stream) is not None and not is_empty:
        values = load_checked(door, files.stream, _KIND)
        found = values.get("stream"), values.get("created")
        if found != (stream, created):
            raise ConfigError(
                f"{files.root.parent} follows the stream {found[0]} that was made at {found[1]}, and there is now "
                f"{stream} of {created}: it was removed and made again, so its messages are others. Bring the servers' "
                "data back; or set the directory aside, and the node begins with what the cluster has now."
            )
        return
    door.make_directory(files.root)
    save_checked(door, files.stream, _KIND, {"stream": stream, "created": created})
