"""The same request again: it gets its first answer, and is done once, whatever became of the connection or the server.

Within a process answers are remembered. Across a killed one there is the log of intents: who asks again for what an
earlier process was about to store is told, if all of it is there, where it was stored.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import Final, Protocol

from blockdb.errors import IdempotencyConflict, InvalidData
from blockdb.format.intent import CHANCE_BYTES, MAX_PARTS, Digests, Intent

__all__ = ["Entry", "Idempotency", "Intents", "Written"]

MAX_KEY_CHARACTERS: Final = 255
MAX_ENTRIES: Final = 100_000
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
MAX_AGE_S: Final = 24 * 3600
ENTRY_BYTES: Final = 300
"""What a remembered answer takes besides its own bytes, about."""

Written = tuple[bytes, int, list[bytes]]
"""What is about to be stored in a collection: its 16 bytes, how many records it has, and the keys."""


class Intents(Protocol):
    """What remembers intents beyond the process."""

    digests: Digests

    def append(self, *given: Intent) -> None:
        """Remember them. Raises StorageError."""


class Entry:
    """A request and, once there is one, its answer."""

    __slots__ = ("answer", "began_s", "ended", "name", "request")

    def __init__(self, name: bytes, request: bytes, began_s: float) -> None:
        self.name = name
        self.request = request
        self.began_s = began_s
        self.answer: bytes | None = None
        self.ended = Lock()
        """Held by whoever is at it."""
        self.ended.acquire()


class Idempotency:
    """Remembers answers by who asked and the key that they gave. Safe for threads.

    At most `max_entries` answers of `max_bytes` altogether, the oldest of which go first, and none longer than
    `max_age_s` seconds.
    """

    def __init__(
        self,
        intents: Intents | None = None,
        earlier: Sequence[Intent] = (),
        *,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_ANSWER_BYTES,
        max_age_s: float = MAX_AGE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`earlier` is what an earlier process was about to do; it may have done it."""
        self._intents = intents
        self._digests = intents.digests if intents is not None else Digests(bytes(CHANCE_BYTES))
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = Lock()
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._bytes = 0
        youngest_ms = (clock() - max_age_s) * 1000
        self._earlier = {intent.name: intent for intent in earlier if intent.time_ms >= youngest_ms}

    def run(
        self,
        owner: str,
        key: str,
        request: bytes,
        execute: Callable[[], bytes],
        about: Callable[[], Sequence[Written]] | None = None,
        recall: Callable[[Intent], bytes | None] | None = None,
    ) -> bytes:
        """The answer to a request: its first one, or, if there is none yet, what `execute` gives.

        `request` says all that was asked. `about` tells what is going to be stored, if that is to be remembered beyond
        the process, and `recall` gives the answer for what an earlier process stored, None where it has not. What fails
        is not remembered: it may be asked again. Who asks while the first is still at it waits for that.

        Raises InvalidData for what cannot be a key, IdempotencyConflict for one that stood for another request, and
        whatever comes out of `execute`.
        """
        name, digest = self._named(owner, key, request)
        while True:
            entry, is_new = self._entry(name, digest, key)
            if is_new:
                break
            if entry.answer is None:
                with entry.ended:
                    pass
            if entry.answer is not None:
                return entry.answer
        try:
            answer = self._done(entry, key, execute, about, recall)
        except BaseException:
            self.fail(entry)
            raise
        self.end(entry, answer)
        return answer

    # For who does several requests together, and waits for nobody.

    def begin(self, owner: str, key: str, request: bytes) -> Entry | None:
        """The entry of a request: one with an answer, or a new one, on which `end` or `fail` has to be called.

        None where it is for `run`: somebody is at it, or an earlier process may have done it. Raises as `run`.
        """
        name, digest = self._named(owner, key, request)
        if name in self._earlier:
            return None
        entry, is_new = self._entry(name, digest, key)
        return entry if is_new or entry.answer is not None else None

    def intend(self, about: Iterable[tuple[Entry, Sequence[Written]]]) -> None:
        """Have it remembered beyond the process what new entries are going to store. Raises StorageError."""
        if self._intents is None:
            return
        intents = [
            Intent(int(entry.began_s * 1000), entry.name, entry.request, tuple(self._digests.part(*w) for w in written))
            for entry, written in about
            if 0 < len(written) <= MAX_PARTS
        ]
        if intents:
            self._intents.append(*intents)
            for intent in intents:  # which takes the place of an earlier one
                self._earlier.pop(intent.name, None)

    def end(self, entry: Entry, answer: bytes) -> None:
        """A new entry has its answer, which is remembered."""
        entry.answer = answer
        entry.ended.release()
        with self._lock:
            self._bytes += len(answer) + ENTRY_BYTES
            self._make_room()

    def fail(self, entry: Entry) -> None:
        """What a new entry stands for was not done, and may be asked again."""
        with self._lock:
            self._forget(entry)
        entry.ended.release()

    def _named(self, owner: str, key: str, request: bytes) -> tuple[bytes, bytes]:
        """The digests of who asks under which key, and of what. Raises InvalidData for what cannot be a key."""
        if not 0 < len(key) <= MAX_KEY_CHARACTERS:
            raise InvalidData(f"An Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} characters; this one has {len(key)}.")
        return self._digests.of(owner.encode(), key.encode()), self._digests.of(request)

    def _entry(self, name: bytes, request: bytes, key: str) -> tuple[Entry, bool]:
        """The entry of that name, and whether it was made just now. Raises IdempotencyConflict."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None or self._is_too_old(entry):
                return self._begin(name, request), True
        if entry.request != request:
            raise _conflict(key)
        return entry, False

    def _done(
        self,
        entry: Entry,
        key: str,
        execute: Callable[[], bytes],
        about: Callable[[], Sequence[Written]] | None,
        recall: Callable[[Intent], bytes | None] | None,
    ) -> bytes:
        earlier = self._earlier.get(entry.name)
        if earlier is not None:
            if earlier.request != entry.request:
                raise _conflict(key)
            answer = None if recall is None else recall(earlier)
            if answer is not None:
                return answer
        if about is not None and self._intents is not None:
            self.intend([(entry, about())])
        return execute()

    # Under the lock.

    def _is_too_old(self, entry: Entry) -> bool:
        return entry.answer is not None and self._clock() - entry.began_s > self._max_age_s

    def _begin(self, name: bytes, request: bytes) -> Entry:
        old = self._entries.get(name)
        if old is not None:
            self._forget(old)
        entry = self._entries[name] = Entry(name, request, self._clock())
        return entry

    def _forget(self, entry: Entry) -> None:
        if self._entries.get(entry.name) is entry:
            del self._entries[entry.name]
            if entry.answer is not None:
                self._bytes -= len(entry.answer) + ENTRY_BYTES

    def _make_room(self) -> None:
        """Forget the oldest answers that are too many or too old; what somebody is at stays."""
        while self._entries:
            name, oldest = next(iter(self._entries.items()))
            is_much = len(self._entries) > self._max_entries or self._bytes > self._max_bytes
            if oldest.answer is None and is_much:
                self._entries.move_to_end(name)
                return
            if not is_much and not self._is_too_old(oldest):
                return
            self._forget(oldest)

    def __len__(self) -> int:
        return len(self._entries)


def _conflict(key: str) -> IdempotencyConflict:
    return IdempotencyConflict(
        f"The Idempotency-Key {key!r} stood for another request before. Give each request a key of its own."
    )
