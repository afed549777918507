"""Connecting: from addresses and limits to a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from ssl import SSLContext
from typing import Any

from blockdb.client.addresses import Node, nodes_of
from blockdb.client.carrying import Identity, tls_context
from blockdb.client.database import RemoteDatabase
from blockdb.client.link import Link
from blockdb.client.plans.database import DatabasePlans
from blockdb.client.plans.plan import Plan
from blockdb.client.plans.proofs import CollectionPlans
from blockdb.client.plans.verifying import VerifyingDatabasePlans, VerifyingPlans
from blockdb.client.policy import Policy
from blockdb.client.transport import Transport
from blockdb.client.trust import Trust, state_files
from blockdb.client.wiring import chance
from blockdb.errors import ConfigError, InvalidData
from blockdb.wire.messages.server import About

__all__ = ["Connecting", "connect"]


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known once somebody has connected."""

    about: About
    plans_of: Callable[[str], CollectionPlans]
    whole: DatabasePlans


@dataclass(frozen=True, slots=True)
class Connecting:
    """What `connect` was given, understood."""

    nodes: tuple[Node, ...]
    policy: Policy
    identity: Identity
    context: SSLContext
    trust: Trust | None
    key_of: Callable[[], str] = chance
    """What gives each request that changes something its Idempotency-Key."""

    @classmethod
    def of(
        cls,
        url: str | Iterable[str],
        token: str | None = None,
        verified: bool = False,
        keys: Sequence[str] = (),
        state: str | Path | None = None,
        ca_file: str | Path | None = None,
        certificate: tuple[str | Path, str | Path] | None = None,
        idempotency_keys: Callable[[], str] = chance,
        **limits: Any,
    ) -> Connecting:
        """Raises InvalidData, ConfigError, HistoryConflict, StorageError."""
        nodes = nodes_of(url)
        if not verified and (keys or state is not None):
            raise InvalidData("keys and state are for verified=True, which alone looks at proofs.")
        files = state_files(nodes) if state is None else [Path(state)]
        trust = Trust(files, [keys] if isinstance(keys, str) else keys) if verified else None
        context = tls_context(ca_file, certificate, nodes)
        return cls(nodes, _policy_of(limits), Identity(token), context, trust, idempotency_keys)

    def plan(self) -> Plan[Opened]:
        """Ask what is served; where proofs are demanded, its newest checkpoints have to extend those that were seen."""
        whole = DatabasePlans()
        about = yield from whole.about()
        trust = self.trust
        if trust is None:
            return Opened(about, CollectionPlans, whole)
        if not trust.keys:
            trust.pin((yield from whole.verifier_key()))
        verifying = VerifyingDatabasePlans(trust)
        yield from verifying.checkpoint(None)
        yield from VerifyingPlans(about.collection_id, trust).checkpoint()
        return Opened(about, partial(VerifyingPlans, trust=trust), verifying)


def connect(url: str | Iterable[str], **options: Any) -> RemoteDatabase:
    """See `blockdb.connect`."""
    given = Connecting.of(url, **options)
    link = Link(Transport(given.nodes, given.policy, given.identity, given.context), given.key_of)
    try:
        opened = link.run(given.plan())
    except BaseException:
        link.close()
        raise
    return RemoteDatabase(link, opened.about, opened.plans_of, opened.whole)


def _policy_of(limits: dict[str, Any]) -> Policy:
    """The limits of a client. Raises ConfigError, naming the one, for what is none."""
    unknown = sorted(limits.keys() - Policy.__dataclass_fields__.keys())
    if unknown:
        known = ", ".join(Policy.__dataclass_fields__)
        raise ConfigError(f"{unknown[0]}: there is no such option or limit of a client; there are {known}.")
    return Policy(**limits)
