"""Which texts settings are: addresses, names, levels of the log."""

from __future__ import annotations

from typing import Final

from blockdb.config.kinds import Text

__all__ = [
    "ADDRESS",
    "ADVERTISED",
    "HOST",
    "HOST_NAME",
    "LEVEL",
    "NAME",
    "NATS",
    "ORIGIN",
    "PEER",
    "PLACE",
    "SECRET",
    "WEBHOOK",
]

LEVEL: Final = "(critical|error|warning|info|debug)"
HOST: Final = Text("a name or an address", r"[!-~]{1,255}", optional=False)
ORIGIN: Final = Text(
    "an origin such as 'https://app.example.org', or '*'", r"\*|https?://[A-Za-z0-9.\-\[\]:]+", optional=False
)
HOST_NAME: Final = Text("a name without a port, or '*'", r"\*|[A-Za-z0-9._\-]{1,255}", optional=False)
WEBHOOK: Final = Text("a URL that begins with https:// or http://", r"https?://[!-~]+", secret=True)
NATS: Final = Text("servers such as nats://10.0.0.5:4222", r"(nats|tls)://[!-~]+(, ?(nats|tls)://[!-~]+)*", secret=True)
NAME: Final = Text("letters, digits and . _ - (up to 64)", r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}")
NODE_HOST: Final = r"([A-Za-z0-9._\-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])"
PLACE: Final = Text("host:port, such as 192.168.1.10:9180", rf"{NODE_HOST}:[0-9]{{1,5}}")
SECRET: Final = Text("characters without spaces", r"[!-~]+", secret=True)
ADDRESS: Final = Text(
    "host:port, such as 192.168.1.10:8080, or host:port:peer_port",
    rf"{NODE_HOST}:[0-9]{{1,5}}(:[0-9]{{1,5}})?",
    optional=False,
)
ADVERTISED: Final = Text("a name or an address without a port", NODE_HOST)
PEER: Final = Text(
    "name:host:port, such as node2:192.168.1.11:8080, or name:host:port:peer_port",
    rf"[A-Za-z0-9][A-Za-z0-9._\-]{{0,63}}:{NODE_HOST}:[0-9]{{1,5}}(:[0-9]{{1,5}})?",
    optional=False,
)
