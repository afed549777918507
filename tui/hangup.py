"""Noticing that the terminal went away.

When a terminal closes without a SIGHUP reaching the process, reading from it returns nothing for ever, and textual
spins on that. The kernel tells of a hang-up to whoever polls for it, so one thread waits for that and nothing else.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

__all__ = ["watch_for_hangup"]

GRACE_S = 1.2


def watch_for_hangup(descriptor: int, leave: Callable[[], None], exit_code: int) -> None:
    """Calls `leave` from a thread when the terminal at `descriptor` goes away.

    Writing to a terminal that is gone can block or fail anywhere in the shutdown, and nobody is left to see it. So
    after a moment for closing the database the process ends with `exit_code`, however far it got.
    """
    poll = select.poll()
    poll.register(descriptor, 0)  # no events asked for: hang-up and error are always told

    def watch() -> None:
        while not any(events & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, events in poll.poll()):
            pass
        timer = threading.Timer(GRACE_S, os._exit, [exit_code])
        timer.daemon = True
        timer.start()
        leave()

    threading.Thread(target=watch, name="hangup", daemon=True).start()
