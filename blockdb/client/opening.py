"""Connecting: from addresses and limits to a database."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from blockdb.client.addresses import nodes_of
from blockdb.client.carrying import Identity, tls_context
from blockdb.client.database import RemoteDatabase
from blockdb.client.link import Link
from blockdb.client.plans.database import DatabasePlans
from blockdb.client.policy import Policy
from blockdb.client.transport import Transport
from blockdb.errors import ConfigError

__all__ = ["connect"]


def connect(
    url: str | Iterable[str],
    *,
    token: str | None = None,
    ca_file: str | Path | None = None,
    certificate: tuple[str | Path, str | Path] | None = None,
    **limits: Any,
) -> RemoteDatabase:
    """See `blockdb.connect`."""
    transport = Transport(nodes_of(url), policy_of(limits), Identity(token), tls_context(ca_file, certificate))
    link = Link(transport)
    try:
        about = link.run(DatabasePlans().about())
        return RemoteDatabase(link, about)
    except BaseException:
        link.close()
        raise


def policy_of(limits: dict[str, Any]) -> Policy:
    """The limits of a client. Raises ConfigError, naming the one, for what is none."""
    unknown = sorted(limits.keys() - Policy.__dataclass_fields__.keys())
    if unknown:
        known = ", ".join(Policy.__dataclass_fields__)
        raise ConfigError(f"{unknown[0]}: there is no such limit of a client; there are {known}.")
    return Policy(**limits)
