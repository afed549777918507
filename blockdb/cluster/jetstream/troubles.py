"""Errors of NATS as errors of ours: what a caller can do about them."""

from __future__ import annotations

from typing import Final

from nats import errors

from blockdb.errors import BlockDBError, ConfigError, InvalidData, StorageError, Unavailable

__all__ = ["ApiError", "is_refusal", "ours"]

NOT_FOUND: Final = frozenset({10_059, 10_037})
"""No such stream; no such message."""
IN_USE: Final = 10_058
"""There is a stream of that name, with another configuration."""
WRONG_REVISION: Final = frozenset({10_071, 10_164})
"""Somebody else changed it before."""
FULL: Final = frozenset({10_023, 10_028, 10_047, 10_077})
"""No room: resources, storage, the bytes of a stream."""
TOO_FEW_SERVERS: Final = frozenset({10_005, 10_074})
"""No servers that suit; no replicas without a cluster."""

_REFUSED: Final = (
    errors.AuthorizationError,
    errors.InvalidUserCredentialsError,
    errors.SecureConnRequiredError,
    errors.SecureConnWantedError,
    errors.SecureConnFailedError,
)
_REFUSALS: Final = ("authorization violation", "authentication", "permissions violation", "account", "certificate")


class ApiError(Exception):
    """What JetStream answered that is no success: its own number of the error, and words."""

    def __init__(self, code: int, number: int, description: str) -> None:
        self.code = code
        """As in HTTP."""
        self.number = number
        super().__init__(description)


def is_refusal(error: BaseException) -> bool:
    """Whether a server does not let this node in, so that trying again is of no use."""
    words = str(error).lower()
    return isinstance(error, _REFUSED) or any(each in words for each in _REFUSALS)


def ours(error: Exception) -> BlockDBError:
    """What to raise for it."""
    if isinstance(error, BlockDBError):
        return error
    if isinstance(error, ApiError):
        return _of_api(error)
    if isinstance(error, errors.MaxPayloadError):
        return InvalidData("A message is longer than the NATS server takes: raise its `max_payload`.")
    if isinstance(error, errors.NoRespondersError):
        return Unavailable("Nobody answers for it in NATS just now. Try again.")
    if isinstance(error, TimeoutError):
        return Unavailable("NATS did not answer in time: too few of its servers may be there. Try again.")
    if is_refusal(error):
        return ConfigError(f"NATS refuses this node: {error}. Look at [cluster] nats_url and nats_credentials.")
    return Unavailable(f"NATS cannot be reached: {str(error) or type(error).__name__}. Try again.")


def _of_api(error: ApiError) -> BlockDBError:
    if error.number in FULL:
        return StorageError(f"NATS has no room left: {error}. Give its servers more space.")
    if error.code in (401, 403):
        return ConfigError(f"NATS does not allow this node to use JetStream: {error}.")
    return Unavailable(f"JetStream did not do it: {error}. Try again.")
