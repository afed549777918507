"""Whether a server may listen at an address, and whether those who ask there have to say who they are. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from blockdb.errors import ConfigError

__all__ = ["AUTHENTICATION", "Exposure", "check_exposure", "is_loopback"]

AUTHENTICATION: Final = ("auto", "on", "off")
"""What `[security] authentication` may be."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """What follows from an address and the settings."""

    authentication_required: bool
    """Whether who asks has to say who they are."""
    follows_tokens: bool
    """Whether they have to as soon as there is a token."""
    words: tuple[str, ...]
    """What whoever starts the server should know, a line each."""


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach an address. Of names `localhost` alone is known here."""
    if address == "localhost":
        return True
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback


def check_exposure(
    host: str, *, has_tokens: bool, has_tls: bool, authentication: str = "auto", insecure_public: bool = False
) -> Exposure:
    """What is to hold for a server that listens at an address or name.

    Where others can reach it, it takes authentication and TLS, unless `insecure_public`. Raises ConfigError, which
    names the setting.
    """
    if authentication not in AUTHENTICATION:
        known = ", ".join(AUTHENTICATION)
        raise ConfigError(f"[security] authentication: it should be one of {known}, not {authentication!r}.")
    is_public = not is_loopback(host)
    if is_public and not insecure_public:
        _check_public(host, has_tokens, has_tls, authentication)
    follows_tokens = authentication == "auto" and not is_public and not has_tokens
    is_required = authentication != "off" and not follows_tokens
    return Exposure(is_required, follows_tokens, tuple(_words(host, is_public, is_required, has_tokens, has_tls)))


def _check_public(host: str, has_tokens: bool, has_tls: bool, authentication: str) -> None:
    where = f"others can reach {host or 'every address of this machine'}"
    or_else = "listen on 127.0.0.1, or give --insecure-public where something else guards this address"
    if authentication == "off":
        raise ConfigError(f"[security] authentication: it is off, and {where}. Turn it on, {or_else}.")
    if not has_tls:
        raise ConfigError(
            f"[security] tls_certificate: {where}, and nothing would be encrypted. Name a certificate and its tls_key "
            f"(`blockdb cert DIR` makes one to try), {or_else}."
        )
    if authentication == "auto" and not has_tokens:
        raise ConfigError(
            f"[security] authentication: {where}, and there is no token with which to tell who asks. Make one with "
            "`blockdb token create --name NAME --role admin`."
        )


def _words(host: str, is_public: bool, is_required: bool, has_tokens: bool, has_tls: bool) -> list[str]:
    words = []
    if not is_required:
        who = "everybody who reaches" if is_public else "everybody on this machine who reaches"
        words.append(f"Nobody is asked who they are: {who} {host} may do everything.")
    elif not has_tokens:
        words.append("There is no token yet, so nobody is let in; `blockdb token create` makes one.")
    if is_public and not has_tls:
        words.append("Nothing is encrypted: whoever can listen on the way sees tokens and data.")
    return words
