"""Words to systemd (sd_notify(3)): ready, reloading, stopping, still alive. Nothing where there is no systemd."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

__all__ = ["Notifier"]


class Notifier:
    """Tells what the process does to the socket that NOTIFY_SOCKET names."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        usec = environ.get("WATCHDOG_USEC", "")
        is_ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_s = int(usec) / 2_000_000 if usec.isdecimal() and is_ours else 0.0
        """How often it should be told that the process is alive; 0: never."""

    def ready(self, words: str = "") -> None:
        """It can be asked from now on."""
        self._tell(f"READY=1\nSTATUS={words}")

    def reloading(self) -> None:
        """It takes over changed settings; `ready` says that it is through."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """It finishes what was begun."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """It is not stuck."""
        self._tell("WATCHDOG=1")

    def _tell(self, words: str) -> None:
        if self._address:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
                to.sendto(words.encode(), self._address)
