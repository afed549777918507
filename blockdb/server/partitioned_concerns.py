"""What a request waits for where collections are spread over nodes: each partition is asked by whoever reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from blockdb.cluster.database.context import (
    already_confirmed,
    as_request,
    first_id,
    passed_on,
    reading,
    request_of_key,
)
from blockdb.errors import CollectionNotFound
from blockdb.server.concerns import LOCAL, Concerns, name_of

if TYPE_CHECKING:
    from blockdb.server.service import Call

__all__ = ["PartitionedConcerns"]

OF_THE_REGISTRY: Final = frozenset(("collections", "list_collections"))
"""What root alone answers: which collections there are."""


class PartitionedConcerns(Concerns):
    """Root is waited for where it matters which collections there are; partitions confirm their reads themselves."""

    def waits(self, call: Call, request: Any) -> bool:
        """Whether a request needs root to be up to date."""
        if call.is_confirmed or call.operation.is_monitoring:
            return False
        if self._reads(call):
            call.concern = self._concern(call, request)  # `around` does not see the request
        if call.operation.name in OF_THE_REGISTRY:
            return self._concern(call, request) != LOCAL
        return self._is_unknown(request)

    def is_at_once(self, call: Call, request: Any) -> bool:
        """Whether nobody has to be asked: a partition may be elsewhere, or wait for its log."""
        return False

    def may_gather(self, call: Call) -> bool:
        """What another node has passed on is not passed on once more, so it is done for itself."""
        return not call.principal.is_node

    def name_in_group(self, call: Call) -> bytes | None:
        """Under which its command is known; the handle of a partition calls it the same where it is not gathered."""
        name = super().name_in_group(call)
        return None if name is None else first_id(name)

    def _demanded_by(self, collection: str) -> str:
        """What the settings of a collection say, without asking its partitions."""
        catalog = self._database._core.catalog
        try:
            return catalog.metadata(catalog.resolve(collection.partition(":")[0])).settings.read_concern
        except CollectionNotFound:
            return self._default

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """What is done in here is done for a request which knows what collections there are."""
        with ExitStack() as stack:
            if call.concern is not None:
                stack.enter_context(reading(call.concern))
            stack.enter_context(already_confirmed())
            if call.principal.is_node:
                stack.enter_context(passed_on())
            if call.idempotency_key is not None:
                stack.enter_context(as_request(*self._request_of(call)))
            yield

    @staticmethod
    def _request_of(call: Call) -> tuple[bytes, int]:
        """Its name, and the number of its first command here."""
        assert call.idempotency_key is not None, "it has a name"
        if call.principal.is_node:
            return request_of_key(call.idempotency_key)
        return name_of(call.principal, call.idempotency_key, call.operation), 0

    def told(self, call: Call, request: Any) -> list[tuple[bytes, bytes]]:
        """A header that says that an answer may be behind what others have; each partition is so in its own way."""
        return [(b"read-concern", LOCAL.encode())] if self.is_local(call, request) else []
