"""A gRPC server whose certificate changes while it runs: prints whom it served."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from blockdb.server.tls import LiveTls, TlsFiles, grpc_credentials
from tests.server.test_tls import Timer, put

TIMEOUT_S = 10


def channel(port: int, trusts: Path, client: Path) -> grpc.Channel:
    credentials = grpc.ssl_channel_credentials(
        (trusts / "ca.crt").read_bytes(),
        (client / "client-shop.key").read_bytes(),
        (client / "client-shop.crt").read_bytes(),
    )
    return grpc.secure_channel(f"localhost:{port}", credentials)


def ask(through: grpc.Channel) -> bytes:
    echo = through.unary_unary("/test/echo")
    answer: bytes = echo(b"x", timeout=TIMEOUT_S)
    return answer


def main(made: Path, files: Path) -> None:
    timer = Timer()
    live = TlsFiles(files / "server.crt", files / "server.key", files / "clients.crt")
    server = grpc.server(ThreadPoolExecutor(2))
    echo = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"echo": echo}),))
    port = server.add_secure_port("localhost:0", grpc_credentials(LiveTls(live, timer)))
    server.start()
    old = channel(port, made / "one", made / "one")
    assert ask(old) == b"x"
    print("one")
    put(live, made / "two")
    timer.now_s += 1
    assert ask(old) == b"x"
    print("kept")
    assert ask(channel(port, made / "two", made / "two")) == b"x"
    print("two")
    try:
        ask(channel(port, made / "two", made / "one"))
    except grpc.RpcError:
        print("refused")
    server.stop(0).wait(TIMEOUT_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
