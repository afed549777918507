"""The door of the program: `blockdb` and `blockdb-cli`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

__all__ = ["main", "server"]


def main(words: list[str] | None = None) -> int:
    """Run the program with these words (the command line's, if None) and give its exit code."""
    if words is None:
        words = [os.fsencode(word).decode("utf-8", "surrogateescape") for word in sys.argv[1:]]
    if words in (["--version"], ["-V"]):  # needs nothing of what the commands need
        from blockdb import __version__

        with suppress(OSError):  # what cannot be written is told by the program itself
            print(f"blockdb {__version__}", flush=True)
            return 0
    if words[:1] == ["complete"]:
        from .completing.shells import run_for_shell

        run_for_shell(words[1:])
    from .cli import run

    return run(words)


def server() -> int:
    """`blockdb-server`, which is `blockdb server`."""
    return main(["server", *(os.fsencode(word).decode("utf-8", "surrogateescape") for word in sys.argv[1:])])


if __name__ == "__main__":
    sys.exit(main())
