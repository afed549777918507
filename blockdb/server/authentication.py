"""Who asks: the principal of a token or of a client certificate, found anew as soon as the tokens change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from pathlib import Path
from threading import Lock
from time import monotonic, time
from typing import Final

from blockdb.errors import BlockDBError, Unauthenticated
from blockdb.security.exposure import Exposure
from blockdb.security.roles import ANONYMOUS, Principal
from blockdb.server.node_tokens import PREFIX, NodeTokens
from blockdb.server.tokens import TokenFile, TokenInfo, hash_of, parse_token, read_tokens
from blockdb.serving.files import Identity, identity_of
from blockdb.storage.door import Door

__all__ = ["Authenticator"]

LOOK_EVERY_S: Final = 0.5
"""How long what was read counts; so a token that is revoked is refused within a second."""
NOBODY: Final = bytes(32)
"""What a secret is compared with where there is no such token."""

_log = logging.getLogger("blockdb.server")


@dataclass(frozen=True, slots=True)
class _Known:
    """What was last read."""

    identity: tuple[Identity | None, ...] = ()
    """Of each file of tokens."""
    shared: tuple[TokenInfo, ...] = ()
    """The tokens of the cluster."""
    own: tuple[TokenInfo, ...] = ()
    """Those of the files."""
    by_id: Mapping[str, TokenInfo] = field(default_factory=dict)
    by_name: Mapping[str, TokenInfo] = field(default_factory=dict)
    principals: Mapping[str, Principal] = field(default_factory=dict)
    """By the id of the token."""
    problem: str | None = None
    """Why the tokens cannot be read; then nobody is let in."""


class Authenticator:
    """Says who asks. Safe for threads.

    The file of tokens is looked at every half second at most, while somebody asks, and read when it was replaced.
    """

    def __init__(
        self,
        root: Path,
        exposure: Exposure,
        door: Door | None = None,
        clock: Callable[[], float] = time,
        timer: Callable[[], float] = monotonic,
        shared: Callable[[], tuple[TokenInfo, ...]] = tuple,
        further: Path | None = None,
    ) -> None:
        """`root` is the directory of the database; `clock` gives Unix seconds, `timer` seconds that never go back.

        `shared` gives the tokens of a cluster, another tuple when they have changed: they are good beside the file's.
        `further` is another file of tokens, which somebody else keeps (None: there is none).
        """
        self._file = TokenFile(root, door, clock)
        self._further = further
        self._door = door or Door()
        self._exposure = exposure
        self._clock = clock
        self._timer = timer
        self._shared = shared
        self._lock = Lock()
        self._known = _Known()
        self._look_at = timer()
        self.nodes: NodeTokens | None = None
        """By which nodes of the same cluster are known."""
        self._has_had_tokens = False
        self._look()
        self._has_had_tokens = bool(self._known.by_id) or self._known.problem is not None

    @property
    def problem(self) -> str | None:
        """Why nobody is let in; None where all is well."""
        return self._now().problem

    @property
    def is_required(self) -> bool:
        """Whether who asks has to say who they are."""
        self._now()
        return self._exposure.authentication_required or (self._exposure.follows_tokens and self._has_had_tokens)

    @property
    def has_tokens(self) -> bool:
        """Whether anybody can be let in by a token."""
        return bool(self._now().by_id)

    def principal(self, token: str | None, certificate_name: str | None = None) -> Principal:
        """Who asks with this token; None: without one. O(1). Raises Unauthenticated.

        Without one, a client certificate whose common name is a token's stands for that token. A token that is given
        has to be good also where none is needed: nobody is given more than they asked with.
        """
        if token is None:
            return self._without_token(certificate_name)
        if token.startswith(PREFIX):
            return self._node(token)
        known = self._readable()
        token_id, secret = parse_token(token) or ("", "")
        found = known.by_id.get(token_id)
        if not compare_digest(hash_of(secret), NOBODY if found is None else found.secret_sha256) or found is None:
            raise Unauthenticated("This token is not known here, or was revoked. Ask for another one.")
        return self._good(known, found)

    def check(self, principal: Principal) -> None:
        """Whether somebody who was let in may stay: for what takes long. O(1).

        Raises Unauthenticated where their token was revoked or has expired since, or has to be given now.
        """
        if principal.token_id is None:
            self._without_token(None)
            return
        if principal.is_node:
            return
        known = self._readable()
        found = known.by_id.get(principal.token_id)
        if found is None:
            raise Unauthenticated(f"The token '{principal.name}' was revoked. Ask for another one.")
        self._good(known, found)

    def _node(self, token: str) -> Principal:
        found = None if self.nodes is None else self.nodes.principal(token)
        if found is None:
            raise Unauthenticated("This token is of no node of this cluster. Who is no node takes a token of a user.")
        return found

    def _without_token(self, certificate_name: str | None) -> Principal:
        if certificate_name is not None:
            known = self._readable()
            found = known.by_name.get(certificate_name)
            if found is not None:
                return self._good(known, found)
        if self.is_required:
            raise Unauthenticated(self.problem or "Who is asking? Give a token; `blockdb token create` makes one.")
        return ANONYMOUS

    def _good(self, known: _Known, token: TokenInfo) -> Principal:
        if token.is_expired(self._clock() * 1000):
            raise Unauthenticated(f"The token '{token.name}' has expired. Ask for another one.")
        return known.principals[token.id]

    def _readable(self) -> _Known:
        known = self._now()
        if known.problem is not None:
            raise Unauthenticated(known.problem)
        return known

    def _now(self) -> _Known:
        """What there is now, as of half a second ago at most."""
        if self._timer() >= self._look_at:
            with self._lock:
                if self._timer() >= self._look_at:
                    self._look()
        return self._known

    def _look(self) -> None:
        before, shared = self._known, self._shared()
        known, identity = before, tuple(map(identity_of, filter(None, (self._file.path, self._further))))
        try:
            if None in identity or identity != before.identity:
                known = _known(identity, self._listed(), shared)
            elif shared is not before.shared:
                known = _known(identity, before.own, shared)
        except BlockDBError as error:
            known = _Known(problem="Nobody is let in, because the list of tokens is damaged or cannot be read.")
            if before.problem is None:
                _log.error("%s %s", known.problem, error)
        if before.problem is not None and known.problem is None:
            _log.warning("The list of tokens can be read again.")
        # Also a token that was made and revoked between two looks: what was closed once does not open by itself.
        self._has_had_tokens |= known.identity != before.identity or known.problem is not None or bool(shared)
        self._known = known
        self._look_at = self._timer() + LOOK_EVERY_S

    def _listed(self) -> tuple[TokenInfo, ...]:
        """What stands in the files. Raises BlockDBError."""
        further = () if self._further is None else read_tokens(self._door, self._further)
        return (*self._file.list(), *further)


def _known(identity: tuple[Identity | None, ...], own: tuple[TokenInfo, ...], shared: tuple[TokenInfo, ...]) -> _Known:
    tokens = (*own, *shared)
    by_id, by_name = {token.id: token for token in tokens}, {token.name: token for token in tokens}
    return _Known(identity, shared, own, by_id, by_name, {token.id: token.principal for token in tokens})
