"""Where servers are: the addresses that `connect` is given. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from blockdb.errors import InvalidData

__all__ = ["Node", "nodes_of"]

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Node:
    """One server: `http` or `https`, its host and port, and the path before all others (empty, or from a slash on)."""

    scheme: str
    host: str
    port: int
    root: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.root}"

    @property
    def is_near(self) -> bool:
        """Whether it is on this machine, as far as its address says."""
        return _is_near(self.host)


@cache
def _is_near(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def nodes_of(urls: str | Iterable[str]) -> tuple[Node, ...]:
    """The servers that URLs name: a list, or a text in which commas part them. Raises InvalidData, naming the URL."""
    texts = urls.split(",") if isinstance(urls, str) else list(urls)
    nodes = tuple(dict.fromkeys(_node_of(text) for text in texts))
    _check_schemes(nodes)
    return nodes


def _node_of(text: str) -> Node:
    if not isinstance(text, str):
        raise InvalidData(f"The address of a server is text, not {type(text).__name__}.")
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidData(f"{_hidden(url)!r} is no URL: {error}.") from None
    if parts.scheme not in _PORTS or not parts.hostname or not (url.isascii() and url.isprintable() and " " not in url):
        raise InvalidData(f"{_hidden(url)!r} is no address of a server, such as http://127.0.0.1:8080.")
    if parts.username is not None or parts.query or parts.fragment:
        what = "the address of a server has no user, no question mark and no number sign"
        raise InvalidData(f"{_hidden(url)!r}: {what}; a token is given as `token`, or as BLOCKDB_TOKEN.")
    return Node(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], _root(parts))


def _root(parts: SplitResult) -> str:
    return parts.path.rstrip("/")


def _hidden(url: str) -> str:
    """The URL without what stands before an @ or behind a question mark, which may be a secret."""
    scheme, mark, rest = url.partition("://")
    rest = rest.rpartition("@")[2].partition("?")[0]
    return f"{scheme}{mark}{rest}" if mark else url.rpartition("@")[2].partition("?")[0]


def _check_schemes(nodes: Sequence[Node]) -> None:
    if not nodes:
        raise InvalidData("There is no address of a server; give one, such as http://127.0.0.1:8080.")
    if len({node.scheme for node in nodes}) > 1:
        raise InvalidData("Some of the addresses are https and some http; what one hides the other would show.")
