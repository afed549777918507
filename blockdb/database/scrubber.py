"""The scrubber: audits the directory of an open database over and over, so that damage is found before it is needed.

Each pass is the audit of `blockdb.audit`, made by a niced process on one core: a thread would take the interpreter from
the writers. The thread here starts the process and listens. What was found stands in a small file too, for those who
attach to the directory and for the next time it is opened; that file is a convenience, and nothing depends on it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from subprocess import Popen
from threading import Event, Lock, Thread
from time import time
from typing import Any, Final

from blockdb.format import checked_toml
from blockdb.format.frame import BadFrame
from blockdb.process import start_python
from blockdb.statistics import ScrubStatistics

FIRST_AFTER_S: Final = 5.0
"""How long after opening the first pass begins: a command that is over by then pays nothing."""

SAVE_S: Final = 5.0
STALE_S: Final = 30.0
"""A state that says it is running and was not written for so long is that of a process that is gone."""

MOST_PROBLEMS: Final = 100
"""How many problems are kept; the audit itself names all of them."""

KIND: Final = "scrub state"
_log = logging.getLogger("blockdb")

Start = Callable[[str, str, bytes], Popen[bytes]]


class Scrubber:
    """Audits a directory at a limited rate until it is closed. Safe for threads; never raises but at its making."""

    def __init__(
        self,
        root: Path,
        state_file: Path,
        rate_limit: int,
        interval_s: float,
        *,
        first_after_s: float | None = None,
        secret: bytes = b"",
        start: Start = start_python,
    ) -> None:
        """`rate_limit` is in bytes a second; `interval_s` passes between the end of a pass and the next beginning.

        `secret` is what it takes to open encrypted files.
        """
        self._secret = secret
        self._root = root
        self._file = state_file
        self._interval_s = interval_s
        self._first_after_s = FIRST_AFTER_S if first_after_s is None else first_after_s
        self._start = start
        self._closing = Event()
        self._lock = Lock()
        self._process: Popen[bytes] | None = None
        self._saved = 0.0
        before = load_state(state_file) or ScrubStatistics()
        self._state = replace(before, rate_limit=rate_limit, running=False, failure=None)
        self._found_here = False
        self._thread = Thread(target=self._run, name="blockdb-scrub", daemon=True)
        self._thread.start()

    @property
    def state(self) -> ScrubStatistics:
        """What it does and has found."""
        return self._state

    def close(self) -> None:
        """Stop at once."""
        self._end()
        self._thread.join()

    def _end(self) -> None:
        self._closing.set()
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def _run(self) -> None:
        pause_s = self._first_after_s
        while not self._closing.wait(pause_s):
            try:
                self._pass()
            except Exception as error:  # whatever it is, the next pass is another chance
                self._note(running=False, failure=f"{type(error).__name__}: {error}")
            pause_s = self._interval_s
        self._note(running=False)
        self._save()

    def _pass(self) -> None:
        argument = json.dumps({"path": str(self._root.absolute()), "rate_limit": self._state.rate_limit})
        with self._lock:
            if self._closing.is_set():
                return
            process = self._process = self._start("blockdb.audit.scrub", argument, self._secret)
        self._note(running=True, records_done=0, last_started_ms=_now_ms())
        self._save()
        ended = False
        try:
            assert process.stdout is not None
            for line in process.stdout:
                ended = self._hear(json.loads(line)) or ended
        finally:
            with self._lock:
                self._process = None
            process.kill()
            process.communicate()
            if not self._closing.is_set():
                self._note(
                    running=False, **({} if ended else {"failure": f"the process ended by {process.returncode}"})
                )
                self._save()

    def _hear(self, words: dict[str, Any]) -> bool:
        """Take what the process says. Says whether that was its last word."""
        if "failure" in words:
            self._note(failure=str(words["failure"]))
            return True
        if "problems" not in words:
            self._note(records_done=words["done"], records_total=words["total"])
            if time() - self._saved > SAVE_S:
                self._save()
            return False
        problems = tuple(words["problems"])
        for problem in problems:
            if problem not in self._state.problems or not self._found_here:
                _log.warning("the scrubber found damage: %s", problem)
        self._found_here = self._found_here or bool(problems)
        kept = self._state.problems if self._found_here else ()
        kept = (*kept, *(problem for problem in problems if problem not in kept)) if problems else kept
        self._note(
            passes=self._state.passes + 1,
            last_finished_ms=_now_ms(),
            records_done=words["records"],
            records_total=words["records"],
            problems=kept[:MOST_PROBLEMS],
            failure=None,
        )
        return True

    def _note(self, **changes: Any) -> None:
        self._state = replace(self._state, **changes)

    def _save(self) -> None:
        self._saved = time()
        with suppress(OSError):
            save_state(self._file, self._state)


class ScrubFile:
    """The state that another process, or an earlier one, left; read again when the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, ScrubStatistics | None] | None = None

    def state(self) -> ScrubStatistics:
        """What is known."""
        try:
            changed = self._path.stat().st_mtime_ns
        except OSError:
            return ScrubStatistics()
        if self._read is None or self._read[0] != changed:
            self._read = changed, load_state(self._path)
        state = self._read[1] or ScrubStatistics()
        is_stale = time() - changed / 1e9 > STALE_S
        return replace(state, running=False) if is_stale and state.running else state


def save_state(path: Path, state: ScrubStatistics) -> None:
    """Write a state for others to read; it is not forced. Raises OSError."""
    values = {name: value for name, value in asdict(state).items() if value is not None}
    data = checked_toml.encode({"kind": KIND, **values, "problems": list(state.problems)})
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(data)
    beside.replace(path)


def load_state(path: Path) -> ScrubStatistics | None:
    """The state that somebody left, or None where there is none that can be read."""
    try:
        values = checked_toml.decode(path.read_bytes())
        if values.pop("kind") != KIND:
            return None
        return ScrubStatistics(**{**values, "problems": tuple(values["problems"])})
    except (OSError, BadFrame, KeyError, TypeError):
        return None


def _now_ms() -> int:
    return int(time() * 1000)
