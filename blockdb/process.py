"""Starting processes that help: the same interpreter, the same package, one module's `main`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_PACKAGE_ROOT: Final = Path(__file__).absolute().parents[1]


def run_python(module: str, argument: str) -> bool:
    """Run `main(argument)` of a module of this package in a process, and wait for it. Says whether it succeeded."""
    try:
        process = start_python(module, argument)
    except OSError:
        return False
    process.communicate()
    return process.returncode == 0


def start_python(module: str, argument: str, inherited: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Start `main(argument)` of a module of this package, with pipes for stdin and stdout.

    It has the descriptors `inherited` under the same numbers, and a session of its own: an interrupt typed at the
    terminal is for the program, not for its helpers. Raises OSError where the system gives no process.
    """
    if not sys.executable:
        raise OSError("this interpreter does not know where it is")
    program = f"import sys; from {module} import main; main(sys.argv[1])"
    path = os.pathsep.join(filter(None, (str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-c", program, argument],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=inherited,
    )
