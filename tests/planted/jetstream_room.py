"""Bugs of a cluster over streams: the servers of nodes, rosters, questions."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

ENGINE = "tests/cluster/jetstream/test_engine.py"
MANAGED = "tests/cluster/jetstream/test_managed.py"
TLS = "tests/cluster/jetstream/test_tls.py"
MIRRORS = "tests/cluster/jetstream/test_mirrors.py"

JETSTREAM: Final[dict[str, Bug]] = {
    "roster-not-compared": Bug(
        "blockdb/cluster/jetstream/rosters.py",
        "if revision is not None:",
        "if not value:",
        (f"{ENGINE}::test_changes_at_once_are_all_kept",),
        "Of two changes of a roster at once, one is lost.",
    ),
    "rosters-older-taken": Bug(
        "blockdb/cluster/jetstream/rosters.py",
        "if await self._last() > self._seen:",
        "if not self._seen:",
        (f"{ENGINE}::test_rosters_are_followed_through_a_restart_of_nats",),
        "A node hears of no changes any more after NATS was started again.",
    ),
    "clusters-not-apart": Bug(
        "blockdb/cluster/jetstream/names.py",
        'escaped(cluster_id).replace("-", "_h")',
        "escaped(cluster_id)",
        (f"{ENGINE}::test_names_stay_apart",),
        "A cluster takes the streams of another one for its own.",
    ),
    "pieces-overlap": Bug(
        "blockdb/cluster/jetstream/asking.py",
        "content[offset : offset + most]",
        "content[:most]",
        (f"{ENGINE}::test_a_question_is_answered_by_a_holder",),
        "A long question is another one at the node that answers it.",
    ),
    "removed-node-joins": Bug(
        "blockdb/cluster/jetstream/beginning.py",
        "if not is_new:",
        "if not own:",
        (f"{ENGINE}::test_who_joins_is_a_learner_until_it_has_caught_up",),
        "A node that was removed comes back by itself.",
    ),
    "server-left-behind": Bug(
        "blockdb/cluster/jetstream/process.py",
        "ctypes.CDLL(None).prctl(1, signal.SIGTERM)",
        "ctypes.CDLL(None)",
        (f"{MANAGED}::test_what_says_nothing_does_not_outlive_who_started_it",),
        "The NATS server of a node that was killed goes on, with the files that the next one needs.",
    ),
    "server-not-again": Bug(
        "blockdb/cluster/jetstream/managed.py",
        "tries = 0 if time.monotonic() - started > STEADY_S else tries + 1",
        "return",
        (f"{MANAGED}::test_a_server_alone_is_a_group_that_survives_kills",),
        "A NATS server that died stays away.",
    ),
    "no-company": Bug(
        "blockdb/cluster/jetstream/managed.py",
        "if ALONE in line and not self._company.is_alive():",
        "if self._company.is_alive():",
        (f"{MANAGED}::test_a_server_alone_is_a_group_that_survives_kills",),
        "A node that is alone waits for others for ever once it was stopped.",
    ),
    "certificate-of-another-host": Bug(
        "blockdb/cluster/jetstream/exposure.py",
        "if host.lower() not in hosts and",
        "if not hosts and",
        (f"{TLS}::test_a_certificate_that_others_would_refuse",),
        "A node begins with a certificate that all others refuse, and does not say so.",
    ),
    "secret-not-asked": Bug(
        "blockdb/cluster/jetstream/serverconfig.py",
        'parts = (f"blockdb nats {purpose}", cluster_id, secret)',
        'parts = (f"blockdb nats {purpose}", cluster_id)',
        (f"{TLS}::test_nodes_with_certificates_and_others",),
        "Whoever has a certificate of the same authority may pretend to be a node.",
    ),
    "mirror-writes": Bug(
        "blockdb/cluster/jetstream/serverconfig.py",
        'for kind in ("log", "ask")',
        'for kind in ("ask",)',
        (f"{MIRRORS}::test_a_copy_follows_and_changes_nothing",),
        "A read-only copy may write into the streams of the cluster.",
    ),
    "stays-without-room": Bug(
        "blockdb/cluster/jetstream/managed.py",
        "self._failed_s = time.monotonic()",
        "self._failed_s = 0.0",
        (f"{MANAGED}::test_a_server_without_room_comes_back_once_there_is",),
        "A server whose disk was full once keeps no streams any more.",
    ),
    "routes-open": Bug(
        "blockdb/cluster/jetstream/exposure.py",
        "if not is_loopback(host, port):",
        "if not host:",
        (f"{MANAGED}::test_others_must_not_pretend_to_be_nodes",),
        "Whoever reaches a node may pretend to be one.",
    ),
}
