"""The settings of a node's own `nats-server`, as the file that it reads (JSON is what its language includes)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from blockdb.cluster.jetstream.names import Names
from blockdb.cluster.jetstream.settings import JetStreamSettings

__all__ = ["ACCOUNT", "GROUP_SUBJECT", "MAX_PAYLOAD", "SYSTEM", "Ports", "ServerConfig", "password_of"]

MAX_PAYLOAD: Final = 8 << 20
ACCOUNT: Final = "BLOCKDB"
SYSTEM: Final = "SYSTEM"
GROUP_SUBJECT: Final = "$SYS.REQ.SERVER.PING.JSZ"
"""Where the server that leads all servers is asked about them, which others do not know as well."""
_CHANGES: Final = ("STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE", "STREAM.MSG.DELETE")


@dataclass(frozen=True, slots=True)
class Ports:
    """On loopback, for the node itself."""

    client: int
    monitor: int


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Of one server."""

    settings: JetStreamSettings
    ports: Ports
    secret: str
    """The password of the node at its own server: another one each time that the node starts."""
    routes: Sequence[str]
    """Where other servers are reached."""
    store: Path
    name: str
    is_companion: bool = False
    """Whether it is the second server of a node that is alone."""
    has_jetstream: bool = True

    def text(self) -> str:
        """The file. It has secrets."""
        content = {
            "server_name": self.name,
            "listen": f"127.0.0.1:{self.ports.client}",
            "http": f"127.0.0.1:{self.ports.monitor}",
            "max_payload": MAX_PAYLOAD,
            "max_pending": 8 * MAX_PAYLOAD,
            "accounts": self._accounts(),
            "system_account": SYSTEM,
        }
        if self.has_jetstream:
            content["jetstream"] = self._jetstream()
        if self.settings.mirror_of:
            content["leafnodes"] = self._leaf()
        else:
            content["cluster"] = self._cluster()
            content["leafnodes"] = self._for_mirrors()
        return json.dumps({key: value for key, value in content.items() if value}, indent=1)

    def _jetstream(self) -> dict[str, Any]:
        names, own = Names(self.settings.cluster_id), self.settings.own.id
        domain = names.mirror_domain(own) if self.settings.mirror_of else names.domain
        return {"store_dir": str(self.store), "sync_interval": "always", "domain": domain}

    def _accounts(self) -> dict[str, Any]:
        account: dict[str, Any] = {
            "users": [{"user": "node", "password": self.secret}],
            "imports": [{"service": {"account": SYSTEM, "subject": GROUP_SUBJECT}}],
        }
        if self.has_jetstream:
            account["jetstream"] = "enabled"
        if self.settings.mirror_listen:
            permissions = {"publish": {"deny": self._not_of_mirrors()}}
            mirror = {"user": "mirror", "password": self._password("mirror"), "permissions": permissions}
            account["users"].append(mirror)
        system = {
            "users": [{"user": "system", "password": self.secret}],
            "exports": [{"service": GROUP_SUBJECT, "accounts": [ACCOUNT]}],
        }
        return {ACCOUNT: account, SYSTEM: system}

    def _not_of_mirrors(self) -> list[str]:
        """What who mirrors this cluster may not send to it: commands, rosters, changes of streams."""
        names = Names(self.settings.cluster_id)
        changes = [f"{api}.{call}.>" for api in ("$JS.API", f"$JS.{names.domain}.API") for call in _CHANGES]
        return [*(names.all_subjects(kind) for kind in ("log", "ask")), "$KV.>", *changes]

    def _cluster(self) -> dict[str, Any]:
        settings, user = self.settings, {"user": "blockdb", "password": self._password("routes")}
        at = "{user}:{password}@".format(**user)
        return {
            "name": settings.cluster_id,
            "listen": "127.0.0.1:-1" if self.is_companion else settings.listen_address or settings.own.peer_address,
            "advertise": "" if self.is_companion else settings.own.peer_address,
            "no_advertise": True,  # of the ports for clients, which are on loopback
            "authorization": {**user, "timeout": 5},
            "routes": [f"nats://{at}{route}" for route in dict.fromkeys((*self.routes, settings.own.peer_address))],
            "connect_retries": 2**31 - 1,
            **self._tls(),
        }

    def _for_mirrors(self) -> dict[str, Any]:
        """Where those listen who mirror this cluster."""
        if not self.settings.mirror_listen or self.is_companion:
            return {}
        return {"listen": self.settings.mirror_listen, "no_advertise": True, **self._tls()}

    def _leaf(self) -> dict[str, Any]:
        """Where the servers are that this one mirrors."""
        at = f"mirror:{self._password('mirror')}@"
        urls = [f"nats-leaf://{at}{address}" for address in self.settings.mirror_of]
        return {"reconnect": 1, "remotes": [{"urls": urls, "account": ACCOUNT, **self._tls()}]}

    def _tls(self) -> dict[str, Any]:
        files = self.settings.tls
        if files is None:
            return {}
        own = {"cert_file": str(files.certificate), "key_file": str(files.key), "ca_file": str(files.authority)}
        return {"tls": {**own, "verify": True, "timeout": 5}}

    def _password(self, purpose: str) -> str:
        return password_of(purpose, self.settings.cluster_id, self.settings.secret)


def password_of(purpose: str, cluster_id: str, secret: str) -> str:
    """What servers of one cluster tell each other: without a secret it keeps clusters apart, and no more."""
    parts = (f"blockdb nats {purpose}", cluster_id, secret)
    return sha256(b"\0".join(part.encode() for part in parts)).hexdigest()


def config_of(settings: JetStreamSettings, ports: Ports, secret: str, routes: Sequence[str]) -> ServerConfig:
    """Of a node's own server; `routes` are the peer addresses that it knows."""
    return ServerConfig(settings, ports, secret, routes, settings.data_dir / "nats" / "store", settings.own.id)
