"""A database that is served: everything that stands around it, put together, reloaded and taken apart again."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from blockdb.cluster.belonging import engine_of
from blockdb.config import Config, DatabaseConfig, Sources, reloaded
from blockdb.database.database import Database
from blockdb.errors import BlockDBError, ConfigError, Corruption, DatabaseNotFound, StorageError, Unavailable
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.security.exposure import Exposure, check_exposure, is_loopback
from blockdb.server.authentication import Authenticator
from blockdb.server.http.application import Application, Options
from blockdb.server.http.gate import Gate
from blockdb.server.limits import CallLimits
from blockdb.server.logs import configure
from blockdb.server.service import Call, Service
from blockdb.server.tokens import TokenFile, read_tokens
from blockdb.server.trail import AuditTrail
from blockdb.serving.limits import Limits
from blockdb.serving.listening import handed_over, listen, resolve, room_for, url_of
from blockdb.serving.process import Server, endable, run
from blockdb.storage.door import Door
from blockdb.wire.failures import failure_of

if TYPE_CHECKING:
    from blockdb.server.grpc.door import GrpcDoor
    from blockdb.server.node import Node
    from blockdb.server.reaching import Connect
    from blockdb.server.tls import LiveTls

__all__ = ["Served", "serve"]

log: Final = logging.getLogger("blockdb.server")
access: Final = logging.getLogger("blockdb.server.access")


def serve(
    sources: Sources,
    open_database: Callable[[DatabaseConfig], Database],
    announce: Callable[[str], None],
    source_of: Callable[[DatabaseConfig], MasterKeySource],
    connect: Connect | None = None,
) -> None:
    """Serve the database of a configuration until the process is told to end.

    `announce` is given one line when it can be asked. Of a node of a cluster the database is not opened with
    `open_database`, but with the master key that `source_of` knows of; `connect` is how it reaches others. Raises
    ConfigError, and before it listens StorageError, and what opening raises.
    """
    config = sources.config()
    configure(config.logging)
    tls = _tls(config)
    with endable(), ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in handed_over() or [_listening(config)]]
        exposure = _exposure(config, sockets, tls)
        node = _node(stack, config, sockets, source_of, connect, None if tls is None else tls.context)
        database = stack.enter_context(open_database(config.database)) if node is None else node.database
        served = stack.enter_context(Served.around(database, sources, config, exposure, tls, node))
        served.run(sockets, announce)
        log.info("ending: closing the database")
    log.info("ended in order")


def _node(
    stack: ExitStack,
    config: Config,
    sockets: list[socket.socket],
    source_of: Callable[[DatabaseConfig], MasterKeySource],
    connect: Connect | None,
    context: ssl.SSLContext | None,
) -> Node | None:
    """The node of a cluster that is to be served, if it is one."""
    if not (config.cluster.is_cluster or engine_of(DatabaseFiles(Path(config.database.data_dir)))):
        return None
    from blockdb.server.clustering import node_of  # here: most servers stand alone
    from blockdb.server.forming import Forming

    port = sockets[0].getsockname()[1]
    with Forming(sockets, context) as forming:
        return stack.enter_context(node_of(config, port, source_of(config.database), connect, forming.say))


def _tls(config: Config) -> LiveTls | None:
    if not config.security.tls_certificate:
        return None
    from blockdb.server.tls import LiveTls, TlsFiles  # here: it takes longer to load than all the rest

    files = TlsFiles.of(config.security)
    return None if files is None else LiveTls(files)


def _listening(config: Config) -> socket.socket:
    """A socket at the address of the settings, once it is known that it may be listened at."""
    host, port = config.server.host, config.server.port
    _check_address(config, resolve(host, port)[1][0], has_tls=bool(config.security.tls_certificate))
    return listen(host, port)


def _exposure(config: Config, sockets: list[socket.socket], tls: LiveTls | None) -> Exposure:
    """What holds for the address that the most can reach. Raises ConfigError."""
    found = [_check_address(config, each.getsockname()[0], has_tls=tls is not None) for each in sockets]
    return next((each for each in found if each.authentication_required), found[0])


def _check_address(config: Config, address: str, *, has_tls: bool) -> Exposure:
    return check_exposure(
        address,
        has_tokens=_has_tokens(config) or (config.cluster.is_cluster and not is_loopback(address)),
        has_tls=has_tls,
        authentication=config.security.authentication,
        insecure_public=config.server.insecure_public,
    )


def _has_tokens(config: Config) -> bool:
    root, further = Path(config.database.data_dir), _further_tokens(config)
    try:
        if further is not None and read_tokens(Door(), further):
            return True
    except StorageError as error:
        raise ConfigError(f"[security] tokens_file: {error}") from None
    try:
        return bool(TokenFile(root).list()) or _has_shared_tokens(root)
    except DatabaseNotFound:  # it is about to be made
        return False


def _further_tokens(config: Config) -> Path | None:
    return Path(config.security.tokens_file) if config.security.tokens_file else None


def _has_shared_tokens(root: Path) -> bool:
    """Whether the cluster has tokens, by what this node knows before it takes part.

    Where that is damaged it is known once there is a copy, and nobody is served before.
    """
    if not DatabaseFiles(root).raft.id.exists():
        return False
    from blockdb.cluster.machine.marks import read_mark

    try:
        mark = read_mark(Door(), DatabaseFiles(root))
    except Corruption:
        return False
    return mark is not None and bool(mark.tokens)


class Served:
    """What stands around a database while it is served."""

    def __init__(
        self,
        database: Database,
        sources: Sources,
        config: Config,
        exposure: Exposure,
        tls: LiveTls | None,
        node: Node | None = None,
    ) -> None:
        self.config = config
        self._node = node
        concerns = None if node is None else node.concerns
        shared = tuple if node is None else node.database.shared_tokens
        authenticator = Authenticator(
            Path(config.database.data_dir), exposure, shared=shared, further=_further_tokens(config)
        )
        authenticator.nodes = None if node is None else node.tokens
        self.service = Service(database, authenticator, concerns)
        if node is not None:
            self.service.tokens = node.database
        self.service.node_id = config.cluster.node_id or self.service.node_id
        self._sources = sources
        self._exposure = exposure
        self._tls = tls
        self._authenticator = self.service.authenticator
        if node is not None:
            self.service.spread = node.spread
        self._limits = CallLimits(config.server, has_transactions=config.cluster.enable_transactions)
        self._options = Options(max_streams=config.server.max_streams)
        self._door = Application(self.service, self._options)
        self._gate = Gate(self._door, config.server, self.is_authenticated, has_tls=tls is not None)
        self._server: Server | None = None
        self._grpc: GrpcDoor | None = None
        self.service.admit = self._limits
        self.service.hooks.append(log_call)
        if tls is not None:
            self.service.monitor.certificate_expires_ms = lambda: tls.expires_ms

    @classmethod
    @contextmanager
    def around(
        cls,
        database: Database,
        sources: Sources,
        config: Config,
        exposure: Exposure,
        tls: LiveTls | None = None,
        node: Node | None = None,
    ) -> Iterator[Served]:
        """For a database that is open, as long as the block lasts; it stays open. Raises BlockDBError."""
        trail = AuditTrail(database, config.security.audit)
        served = cls(database, sources, config, exposure, tls, node)
        trail.attach(served.service)
        if node is not None:
            node.on_copy.append(trail.renew)
        try:
            served.service.monitor.watch(config.alerts)
            served._take_over(config)
            yield served
        finally:
            served.service.close()
            served._door.close()
            trail.close()

    def is_authenticated(self) -> bool:
        """Whether each request has to show who asks."""
        return bool(getattr(self._authenticator, "is_required", False))

    def run(self, sockets: list[socket.socket], announce: Callable[[str], None]) -> None:
        """Serve on these sockets until the process is told to end. Raises StorageError where gRPC cannot listen."""
        context = None if self._tls is None else self._tls.context
        url = url_of(sockets[0], "http" if context is None else "https")
        self.service.address = url
        if self.config.server.grpc_port:
            self._grpc = self._grpc_door(sockets[0])
            self._grpc.start()
        try:
            run(lambda: self._make(sockets, context), lambda: self._ready(url, announce), self.reload)
        finally:
            if self._grpc is not None:
                self._grpc.stop(self.config.server.shutdown_timeout)

    def _grpc_door(self, beside: socket.socket) -> GrpcDoor:
        from blockdb.server.grpc.calling import Options
        from blockdb.server.grpc.door import GrpcDoor
        from blockdb.server.tls import grpc_credentials

        server, host = self.config.server, beside.getsockname()[0]
        options = Options(
            max_message_bytes=server.max_body_bytes,
            max_metadata_bytes=server.max_header_bytes,
            max_connections=server.max_connections,
            max_streams=server.max_streams,
            request_timeout_s=server.request_timeout,
        )
        address = f"[{host}]:{server.grpc_port}" if ":" in host else f"{host}:{server.grpc_port}"
        credentials = None if self._tls is None else grpc_credentials(self._tls)
        return GrpcDoor(self.service, address, credentials, options)

    def _make(self, sockets: list[socket.socket], context: ssl.SSLContext | None) -> Server:
        server = self.config.server
        connections = room_for(server.max_connections)
        if connections < server.max_connections:
            log.warning("the system allows descriptors for %d connections only; raise its limit (NOFILE)", connections)
        limits = Limits(
            max_connections=connections,
            max_header_bytes=server.max_header_bytes,
            body_timeout_s=server.request_timeout,
            stop_timeout_s=server.shutdown_timeout,
        )
        self._server = Server(
            self._gate,
            sockets,
            limits,
            tls=context,
            on_stop=self._stop,
            on_tick=self.service.transactions.end_overdue,
            connections=self.service.monitor.meters.connections,
        )
        return self._server

    def _ready(self, url: str, announce: Callable[[str], None]) -> None:
        for words in self._exposure.words:
            log.warning("%s", words)
        is_closed = self.is_authenticated() and not getattr(self._authenticator, "has_tokens", True)
        if self._node is not None and is_closed:
            log.warning(
                "The cluster has no token yet, so nobody is let in; docs/CLUSTER.md says how the first is made."
            )
        asked = "authentication is on" if self.is_authenticated() else "authentication is off"
        secured = "TLS is off" if self._tls is None else "TLS is on, with client certificates"
        if self._tls is not None and not self._tls.is_mutual:
            secured = "TLS is on"
        log.info("ready", extra={"url": url, "data_dir": self.config.database.data_dir})
        further = "" if self._grpc is None else f" and for gRPC on port {self._grpc.port}"
        announce(f"BlockDB listens on {url}{further} ({asked}, {secured})")

    def stop(self) -> None:
        """Begin to end, as if the process were told to. From any thread."""
        if self._server is not None:
            self._server.stop()

    async def _stop(self) -> None:
        """The end begins: another node leads, if this one does, and streams, which would go on for ever, are told."""
        if self._node is not None:
            await asyncio.to_thread(self._node.hand_over)
        self.service.is_stopping = True
        if self._grpc is not None:
            await asyncio.to_thread(self._grpc.stop, self.config.server.shutdown_timeout)

    def reload(self) -> None:
        """Take over what has changed in the configuration and can be; a broken one changes nothing."""
        try:
            new = self._sources.config()
            now, waiting = reloaded(self.config, new)
            configure(now.logging)
        except (BlockDBError, OSError) as error:
            log.error("the configuration stays as it was: %s", error)
            return
        self._take_over(now)
        for key in waiting:
            log.warning("%s has changed; it is taken over when the server is started again", key)
        log.info("the configuration was taken over")

    def _take_over(self, config: Config) -> None:
        before, self.config = self.config, config
        self._options.max_body_bytes = config.server.max_body_bytes
        self._options.request_timeout_s = config.server.request_timeout
        if self._grpc is not None:
            self._grpc.options.request_timeout_s = config.server.request_timeout
        self._limits.take_over(config.server)
        self._gate.take_over(config.server)
        if self._server is not None:
            self._server.look_anew()
            self._server.limits = replace(self._server.limits, stop_timeout_s=config.server.shutdown_timeout)
        if config.alerts != before.alerts:
            self.service.monitor.watch(config.alerts)


def log_call(call: Call, error: BaseException | None, seconds: float) -> None:
    """Tell of a call: one that went wrong by the server's own fault as a warning, others where somebody debugs."""
    is_ours = error is not None and not (isinstance(error, BlockDBError) and failure_of(error).status < 500)
    is_ours = is_ours and not (call.principal.is_node and isinstance(error, Unavailable))  # it asks another one
    level = logging.WARNING if is_ours else logging.DEBUG
    if not access.isEnabledFor(level):
        return
    status = call.operation.status if error is None else int(failure_of(error).status)
    told = {
        "request_id": call.request_id,
        "who": call.principal.name,
        "peer": call.peer,
        "door": call.door,
        "status": status,
        "ms": round(seconds * 1000, 3),
    }
    if error is not None:
        told["error"] = f"{type(error).__name__}: {error}"
    access.log(level, "%s", call.operation.name, extra=told)
