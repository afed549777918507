"""The first thing that a node of the demonstration runs: it asks to be ended with its parent, then is the server.

`python -m blockdb.cluster.demo.child PARENT DESCRIPTOR WORD...`: PARENT is the process that has to live. The descriptor
is closed once that is settled.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["main"]

PR_SET_PDEATHSIG = 1


def main(words: list[str]) -> None:
    """Never returns: the process becomes the program that the words name."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != int(words[0]):  # it was gone before that could tell
        sys.exit(1)
    os.close(int(words[1]))
    os.execv(sys.executable, [sys.executable, *words[2:]])


if __name__ == "__main__":
    main(sys.argv[1:])
