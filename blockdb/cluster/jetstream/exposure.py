"""Whether others could pretend to be servers of a cluster, and whether the servers will know each other."""

from __future__ import annotations

from ipaddress import ip_address

from blockdb.cluster.jetstream.settings import JetStreamSettings
from blockdb.cluster.peers import PeerTls
from blockdb.cluster.peers.addresses import host_and_port
from blockdb.cluster.peers.tls import LiveTls
from blockdb.errors import ConfigError
from blockdb.serving.listening import is_loopback
from blockdb.storage.door import Door

__all__ = ["check_exposure"]


def check_exposure(settings: JetStreamSettings) -> None:
    """Raises ConfigError where others could pretend, or where the certificate is not that of this node."""
    if settings.tls is not None:
        LiveTls(settings.tls, settings.cluster_id, settings.own.id)
        _check_host(settings.tls, host_and_port(settings.own.peer_address)[0])
        return
    if settings.insecure_public:
        return
    listen = settings.listen_address or settings.own.peer_address
    others = (*settings.join, *settings.mirror_of, *filter(None, (settings.mirror_listen,)))
    for address in (listen, settings.own.peer_address, *others):
        host, port = host_and_port(address)
        if not is_loopback(host, port):
            raise ConfigError(
                f"Others can reach {host}, and without TLS they could pretend to be nodes. Give nodes certificates "
                "(`blockdb cert DIR --cluster NAME --node ID --host HOST`), or say --insecure-public where something "
                "else guards the network."
            )


def _check_host(tls: PeerTls, host: str) -> None:
    """NATS servers look whether a certificate names the host that they called, besides its authority."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificates(Door().read(tls.certificate))[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    if host.lower() not in hosts and _address(host) not in names.get_values_for_type(x509.IPAddress):
        raise ConfigError(
            f"{tls.certificate} does not name {host}, under which other nodes reach this one. Make one that does "
            "(`blockdb cert DIR --cluster NAME --node ID --host HOST`)."
        )


def _address(host: str) -> object:
    try:
        return ip_address(host)
    except ValueError:
        return None
