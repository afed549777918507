"""The operations about tokens. The secret of a token is never said: who makes one keeps it, and tells its hash."""

from __future__ import annotations

from typing import Final

from blockdb.security.roles import Right
from blockdb.wire.messages import tokens
from blockdb.wire.operation import Nothing, Operation
from blockdb.wire.reaching import of_database

__all__ = ["TOKENS"]

_PATH: Final = "/api/v1/tokens"

TOKENS: Final = (
    Operation(
        "tokens", "GET", _PATH, Right.OPERATE, of_database, Nothing, tokens.Tokens,
        "The tokens, without their secrets.",
    ),
    Operation(
        "create_token", "POST", _PATH, Right.OPERATE, of_database, tokens.CreateToken, tokens.Token,
        "Have a token be good, at all nodes of a cluster. Its secret is the client's: the hash of it is told.",
        status=201,
    ),
    Operation(
        "revoke_token", "DELETE", f"{_PATH}/{{token_id}}", Right.OPERATE, of_database, tokens.ByToken, tokens.Token,
        "Have a token be good for nothing any more.",
    ),
)  # fmt: skip
