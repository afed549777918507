"""A remote change stream lets go of its connection, however it ends."""

import threading
from collections.abc import Iterator
from typing import Any

from blockdb.client.feed import RemoteFeed
from blockdb.wire.messages.server import Watch, Watched


class Endless:
    """In place of a link and of the stream that it opens: there is always more to come."""

    is_closed = False

    def __init__(self) -> None:
        self.was_closed = threading.Event()

    def stream(self, _: Any) -> "Endless":
        return self

    def __iter__(self) -> Iterator[Watched]:
        while True:
            yield Watched(position=0)

    def stop(self) -> None:
        """It has come too late: what was read last waits to be taken."""

    def close(self) -> None:
        self.was_closed.set()


def test_who_stops_a_feed_has_its_connection_closed() -> None:
    link = Endless()
    feed = RemoteFeed(link, Watch(), None)  # type: ignore[arg-type]
    feed.stop()
    assert link.was_closed.wait(30)
