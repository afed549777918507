"""Who is let in where nodes show certificates, and who is not; and that the log says why."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from blockdb.cluster.peers import Peers, PeerTls, ask_address
from blockdb.cluster.peers.tls import LiveTls
from blockdb.errors import ConfigError, Unavailable
from blockdb.format.consensus import Member, Members
from blockdb.server.certificates import make
from tests.cluster.peers.nodes import CLUSTER, HEAD, QUICK, Ears, Node, node, on_a_loop, on_both_loops, until


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the cluster `shop`, of another cluster by the same authority, and by another authority."""
    root = tmp_path_factory.mktemp("tls")
    make(root / "shop", clients=["c"], cluster=CLUSTER, nodes=["a", "b", "c"])
    shutil.copytree(root / "shop", root / "bank")
    for file in (root / "bank").glob("node-*"):
        file.unlink()
    make(root / "bank", clients=["x"], cluster="bank", nodes=["a", "b"])
    make(root / "other", cluster=CLUSTER, nodes=["a", "b"])
    return root


def files(root: Path, name: str, authority: Path | None = None) -> PeerTls:
    return PeerTls(root / f"{name}.crt", root / f"{name}.key", (authority or root) / "ca.crt")


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "blockdb.cluster.peers"):
        yield


def impostor(tls: PeerTls, monkeypatch: pytest.MonkeyPatch) -> PeerTls:
    """Files that are not this node's: an honest node would not begin with them."""
    monkeypatch.setattr("blockdb.cluster.peers.tls._check_own", lambda *_: None)
    return tls


@on_both_loops
async def test_nodes_of_a_cluster_know_each_other(certificates: Path) -> None:
    shop = certificates / "shop"
    async with node("a", tls=files(shop, "node-a")) as a, node("b", tls=files(shop, "node-b")) as b:
        a.knows(b)
        b.knows(a)
        await until(lambda: a.is_connected("b"))
        for term in range(100):
            a.beat("b", term)
        await until(lambda: len(b.ears.messages) == 100)
        assert await b.peers.ask("a", "q", b"12") == b"21"
        await a.peers.send_snapshot("b", HEAD, iter([bytes(100_000)] * 30))
        assert b.ears.snapshots == [("a", HEAD, 3_000_000)]
        address = a.member.peer_address
        for cluster in ("", CLUSTER):
            tls = files(shop, "node-c")
            assert await ask_address(address, "q", b"12", own_id="c", cluster_id=cluster, tls=tls) == b"21"


async def refused(a: Node, b: Node) -> None:
    """See that neither reaches the other."""
    a.knows(b)
    b.knows(a)
    a.beat("b", 1)
    b.beat("a", 1)
    await until(lambda: a.peers._outgoing["b"]._told and b.peers._outgoing["a"]._told)
    for each, other in ((a, "b"), (b, "a")):
        assert not each.is_connected(other)
        assert not each.ears.messages
        with pytest.raises(Unavailable):
            await each.peers.send_snapshot(other, HEAD, iter([b"1"]))


STRANGERS = {
    "another cluster": ("bank", "node-b", "bank", r"certificate names blockdb://bank/b, not blockdb://shop/b"),
    "another node": ("shop", "node-c", "shop", r"certificate names blockdb://shop/c, not blockdb://shop/b"),
    "a client": ("shop", "client-c", "shop", r"unsuitable certificate purpose|certificate names no node"),
    "a server": ("shop", "server", "shop", r"certificate names no node"),
    "another authority": (
        "other",
        "node-b",
        "shop",
        r"unable to get local issuer|CERTIFICATE_VERIFY_FAILED|UNKNOWN_CA",
    ),
}


@pytest.mark.parametrize("who", STRANGERS)
def test_a_stranger_is_not_let_in(
    certificates: Path, who: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory, name, authority, words = STRANGERS[who]
    own = files(certificates / "shop", "node-a")
    theirs = impostor(files(certificates / directory, name, certificates / authority), monkeypatch)

    @on_a_loop
    async def scenario() -> None:
        async with node("a", tls=own) as a, node("b", tls=theirs) as b:
            await refused(a, b)

    scenario()
    assert_logged(caplog, "b at .* is not reached: .*(" + words + ")")
    assert_logged(caplog, "A connection from 127.0.0.1 was refused: ")


@on_a_loop
async def test_a_node_that_says_it_is_another_one(
    certificates: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It reaches whom it calls, whose certificate is good, and is found out by its own."""
    shop = certificates / "shop"
    async with (
        node("a", tls=files(shop, "node-a")) as a,
        node("b", tls=impostor(files(shop, "node-c"), monkeypatch)) as b,
    ):
        b.knows(a)
        b.beat("a", 1)
        await until(lambda: b.peers._outgoing["a"]._told)
        assert not a.ears.messages
    assert_logged(caplog, "it says it is blockdb://shop/b, and its certificate names blockdb://shop/c")


@pytest.mark.parametrize("with_tls", ["a", "b"])
def test_plain_against_tls(certificates: Path, with_tls: str, caplog: pytest.LogCaptureFixture) -> None:
    tls = {id_: files(certificates / "shop", f"node-{id_}") if id_ == with_tls else None for id_ in ("a", "b")}

    @on_a_loop
    async def scenario() -> None:
        async with node("a", tls=tls["a"]) as a, node("b", tls=tls["b"]) as b:
            await refused(a, b)

    scenario()
    assert_logged(caplog, "A connection from 127.0.0.1 was refused: it speaks TLS, and this node has none")
    assert_logged(caplog, "A connection from 127.0.0.1 was refused: TLS failed: ")


def assert_logged(caplog: pytest.LogCaptureFixture, pattern: str) -> None:

    lines = [record.getMessage() for record in caplog.records]
    assert any(re.search(pattern, line) for line in lines), (pattern, lines)


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_files_that_are_not_this_nodes(certificates: Path, tmp_path: Path) -> None:
    shop = certificates / "shop"
    with pytest.raises(ConfigError, match=r"names blockdb://shop/b, not blockdb://shop/a.*blockdb cert DIR"):
        LiveTls(files(shop, "node-b"), CLUSTER, "a")
    with pytest.raises(ConfigError, match=r"names blockdb://shop/b, not blockdb://CLUSTER/a"):
        LiveTls(files(shop, "node-b"), "", "a")
    with pytest.raises(ConfigError, match=r"names no node, not"):
        LiveTls(files(shop, "client-c"), CLUSTER, "a")
    with pytest.raises(ConfigError, match=r"node-z\.crt cannot be read: No such file"):
        LiveTls(files(shop, "node-z"), CLUSTER, "z")
    wrong_key = PeerTls(shop / "node-a.crt", shop / "node-b.key", shop / "ca.crt")
    with pytest.raises(ConfigError, match=r"cannot be used"):
        LiveTls(wrong_key, CLUSTER, "a")
    nonsense = tmp_path / "ca.crt"
    nonsense.write_text("nonsense")
    with pytest.raises(ConfigError, match="as an authority"):
        LiveTls(PeerTls(shop / "node-a.crt", shop / "node-a.key", nonsense), CLUSTER, "a")


def test_files_that_are_replaced_are_taken_up(
    certificates: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(certificates / "shop", tmp_path / "tls")
    now = 0.0
    tls = LiveTls(files(tmp_path / "tls", "node-a"), CLUSTER, "a", lambda: now)
    first = tls.server
    now = 1.5
    assert tls.server is first
    shutil.copy(certificates / "other" / "node-a.key", tmp_path / "tls" / "node-a.key")
    now = 3.0
    assert tls.server is first
    assert_logged(caplog, "cannot be used.*stays in use")
    shutil.copy(certificates / "other" / "node-a.crt", tmp_path / "tls" / "node-a.crt")
    now = 3.5
    assert tls.server is first, "once a second at most"
    now = 5.0
    assert tls.server is not first
    assert tls.client is tls.client


# ── without TLS ──────────────────────────────────────────────────────────────────────────────────────────────────


@on_a_loop
async def test_without_tls_only_this_machine() -> None:
    with pytest.raises(ConfigError, match="Others can reach"):
        await Peers(Member("a", "", "0.0.0.0:0"), CLUSTER, Ears()).start()
    async with node("a") as a:
        a.peers.update(Members((Member("b", "", "192.0.2.1:9080"),)))
        await until(lambda: "without TLS nobody is sure" in a.peers._outgoing["b"]._told)
        with pytest.raises(Unavailable, match="without TLS"):
            await a.peers.send_snapshot("b", HEAD, iter([b"1"]))
    with pytest.raises(ConfigError, match="without TLS"):
        await ask_address("192.0.2.1:9080", "q", b"", own_id="a")
    public = Peers(Member("a", "", "0.0.0.0:0"), CLUSTER, Ears(), insecure_public=True, limits=QUICK)
    await public.start()
    assert public.port
    await public.close()
    await public.close()


@on_a_loop
async def test_wrong_cluster_and_wrong_node(caplog: pytest.LogCaptureFixture) -> None:
    async with node("a") as a, node("b", cluster="bank") as b:
        await refused(a, b)
    assert_logged(caplog, "refused: it is of the cluster 'shop', and this node of 'bank'")
    async with node("a") as a, node("c") as c:
        a.peers.update(Members((Member("b", "", c.member.peer_address),)))
        await until(lambda: "it looks for node 'b', and this is 'c'" in a.peers._outgoing["b"]._told)
    assert_logged(caplog, "refused: it looks for node 'b', and this is 'c'")
