"""Mutual TLS of nodes: each shows a certificate that says which node of which cluster it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["PeerTls"]


@dataclass(frozen=True, slots=True)
class PeerTls:
    """The files of a node, in PEM. They are looked at again for new connections, once a second at most."""

    certificate: Path
    """Its certificate, with the URI `blockdb://<cluster>/<node>` (`blockdb cert DIR --cluster NAME --node ID`)."""
    key: Path
    authority: Path
    """Whose certificates are believed."""
