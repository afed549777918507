"""What one caller may ask for: requests a second, and operations at once. The same for every door."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Any, Final

from blockdb.config import ServerConfig
from blockdb.errors import Forbidden, RateLimited, RequestTooLarge
from blockdb.server.service import Call

__all__ = ["CallLimits", "RateLimit"]

MOST_CALLERS: Final = 10_000
"""Of more, those are forgotten who have not asked for a second; who asks as often as they may is never among them."""
BURST_S: Final = 1.0


class RateLimit:
    """Requests a second of each caller; what a second allows may come at once. Safe for threads.

    The generic cell rate algorithm (ITU-T I.371): of each caller one number is kept, the time at which the requests
    that they have made would have come one after the other. O(1).
    """

    def __init__(self, per_second: int, timer: Callable[[], float] = monotonic) -> None:
        """`per_second` 0: any number. `timer` gives seconds that never go back."""
        self.per_second = per_second
        self._timer = timer
        self._due: dict[str, float] = {}
        self._lock = Lock()

    def take(self, caller: str) -> None:
        """Count a request. Raises RateLimited, and then it does not count."""
        if not self.per_second:
            return
        now = self._timer()
        with self._lock:
            due = max(self._due.get(caller, 0.0), now) + 1 / self.per_second
            if due - now > BURST_S + 1e-9:
                raise RateLimited(due - now - BURST_S)
            self._due[caller] = due
            if len(self._due) > MOST_CALLERS:
                self._due = {other: at for other, at in self._due.items() if at > now}


class CallLimits:
    """Looks at each call before it is done. Safe for threads."""

    def __init__(
        self, config: ServerConfig, timer: Callable[[], float] = monotonic, *, has_transactions: bool = True
    ) -> None:
        """`has_transactions`: whether any may be begun."""
        self.has_transactions = has_transactions
        self.rate = RateLimit(config.rate_limit, timer)
        self.max_batch_operations = config.max_batch_operations

    def take_over(self, config: ServerConfig) -> None:
        """These numbers from now on."""
        self.rate.per_second = config.rate_limit
        self.max_batch_operations = config.max_batch_operations

    def __call__(self, call: Call, request: Any) -> None:
        """Raise RateLimited or RequestTooLarge where it is too much, Forbidden for what is turned off."""
        if call.operation.right is not None and not call.keys:  # of a stream, the beginning alone counts
            self.rate.take(call.principal.token_id or call.principal.name)
        if call.operation.name == "begin" and not self.has_transactions:
            raise Forbidden("No transactions are begun over the network here (`enable_transactions` in [cluster]).")
        for name in ("items", "operations", "keys"):
            given = getattr(request, name, None)
            if type(given) is list and len(given) > self.max_batch_operations:
                raise RequestTooLarge(
                    f"{name}: there are {len(given):,}, and {self.max_batch_operations:,} are taken at once "
                    "(`max_batch_operations`). Send them in parts."
                )
