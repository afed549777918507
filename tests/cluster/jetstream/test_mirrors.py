"""A read-only copy of a cluster in another place."""

from __future__ import annotations

from pathlib import Path

import pytest

from blockdb.cluster.jetstream.engine import JetStreamEngine
from blockdb.cluster.partitions.engine import ROOT
from blockdb.errors import BlockDBError, ConfigError, ReadOnly
from blockdb.format.consensus import Members, Role
from tests.cluster.conformance import until
from tests.cluster.jetstream.nodes import ENDS_S, engine, group_of, member, put, settings_for, started
from tests.ports import free_port


def last(running: JetStreamEngine, partition: str) -> int:
    """The number of the last message that a node has of a stream."""
    state = running.shared.streams.state(partition)
    return state.last_sequence if state is not None else 0


def test_a_mirror_must_not_be_reached_without_certificates(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1, and without TLS"):
        engine(settings_for(tmp_path, member("m"), mirror_of=("192.0.2.1:7",)))
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0, and without TLS"):
        engine(settings_for(tmp_path, member("a"), mirror_listen="0.0.0.0:7"))


@pytest.mark.torture
def test_a_copy_follows_and_changes_nothing(tmp_path: Path) -> None:
    own, place = member("a"), f"127.0.0.1:{free_port()}"
    source_settings = settings_for(tmp_path, own, mirror_listen=place)
    copy_settings = settings_for(tmp_path, member("m"), mirror_of=(place,))
    with started(source_settings) as source, started(copy_settings) as copy:
        until(lambda: ROOT in copy.rosters(), "root is mirrored", ENDS_S)
        held = copy.rosters()[ROOT].get("m")
        assert held is not None
        assert held.role is Role.REPLICA
        assert "m" not in source.rosters()[ROOT], "the cluster does not count on it"
        source.create("new-0", Members((own,)), 1)
        for number in range(10):
            put(source, "new-0", b"%d" % number)
        until(lambda: "new-0" in copy.rosters(), "new partitions are mirrored", ENDS_S)
        until(lambda: last(copy, "new-0") == 10, "all messages are there, under their numbers", ENDS_S)
        group = group_of(copy, "new-0")
        assert group is not None
        assert (group.mirror_lag, group.last_sequence) == (0, 10)
        with pytest.raises(BlockDBError):
            put(copy, "new-0", b"evil")
        domain = source.shared.names.domain
        for call in ("STREAM.DELETE", "STREAM.PURGE"):
            name = source.shared.names.stream("new-0")
            with pytest.raises(BlockDBError):
                copy.shared.connection.wait(copy.shared.connection.api(f"{call}.{name}", None, 0.5, domain=domain), 2)
        for forbidden in (
            lambda: copy.create("x-0", Members((own,)), 1),
            lambda: copy.remove("new-0"),
            lambda: copy.shared.rosters.change(ROOT, lambda _: None),
        ):
            with pytest.raises(ReadOnly):
                forbidden()
        assert last(source, "new-0") == 10
        source.close()
        assert last(copy, "new-0") == 10, "it stays when the cluster is away"
        with started(source_settings) as again:
            put(again, "new-0", b"later")
            until(lambda: last(copy, "new-0") == 11, "it follows again", ENDS_S)
            again.remove("new-0")
            until(lambda: "new-0" not in copy.rosters(), "what is removed there goes here", ENDS_S)
            until(lambda: copy.shared.streams.state("new-0") is None, "with its messages", ENDS_S)
    with started(source_settings), started(copy_settings) as copy:
        until(lambda: ROOT in copy.rosters(), "it begins again", ENDS_S)
