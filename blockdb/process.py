"""Starting processes that help: the same interpreter, the same package, one module's `main`."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import IO, Final

_PACKAGE_ROOT: Final = Path(__file__).absolute().parents[1]
_SIZE: Final = Struct("<I")
_PIPE_BYTES: Final = 1 << 20

NICENESS: Final = 5
"""How nice a helper of a writer is: who waits for an answer, a reader or the writer itself, comes first. Without such
there is as much done as without it."""


def run_python(module: str, argument: str, secret: bytes = b"") -> bool:
    """Run `main(argument)` of a module of this package in a process, and wait for it. Says whether it succeeded."""
    try:
        process = start_python(module, argument, secret)
    except OSError:
        return False
    process.communicate()
    return process.returncode == 0


def start_python(
    module: str, argument: str, secret: bytes = b"", inherited: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start `main(argument)` of a module of this package, with pipes for stdin and stdout.

    What nobody else may see is the first that it reads (`secret_of_helper`): others see arguments. It has the
    descriptors `inherited` under the same numbers, and a session of its own: an interrupt typed at the terminal is for
    the program, not for its helpers. Raises OSError where the system gives no process.
    """
    if not sys.executable:
        raise OSError("this interpreter does not know where it is")
    program = f"import sys; from {module} import main; main(sys.argv[1])"
    path = os.pathsep.join(filter(None, (str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-c", program, argument],
        env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=inherited,
    )
    assert process.stdin is not None
    with suppress(OSError):  # where it is gone already, its caller will see
        process.stdin.write(_SIZE.pack(len(secret)) + secret)
        process.stdin.flush()
    return process


def widen_pipe(stream: IO[bytes]) -> None:
    """Let a pipe take a mebibyte, so that who writes need not wait until the other side, which has work, reads.

    Where pipes cannot grow, as most can only on Linux, it waits.
    """
    with suppress(AttributeError, OSError):
        fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def secret_of_helper() -> bytes:
    """In a process that `start_python` started, before anything else is read: the secret that it was given."""
    stream = sys.stdin.buffer
    size = stream.read(_SIZE.size)
    return stream.read(*_SIZE.unpack(size)) if len(size) == _SIZE.size else b""
