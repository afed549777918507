"""Bugs of what nodes of a cluster say to each other."""

from __future__ import annotations

from typing import Final

from tests.planted.planting import Bug

HOSTILE = "tests/cluster/peers/test_hostile.py"
TLS = "tests/cluster/peers/test_tls.py"
SNAPSHOTS = "tests/cluster/peers/test_snapshots.py"
DELIVERY = "tests/cluster/peers/test_delivery.py"

PEERS: Final[dict[str, Bug]] = {
    "body-not-checked": Bug(
        "blockdb/format/peer_frame.py",
        "if xxh3_64_digest(body)[:CHECK_BYTES] != check:",
        "if not check:",
        (f"{HOSTILE}::test_a_flipped_byte_ends_the_connection",),
        "Messages that were damaged on their way are taken for what was said.",
    ),
    "length-not-limited": Bug(
        "blockdb/format/peer_frame.py",
        "if length > limit_bytes:",
        "if length < 0:",
        (f"{HOSTILE}::test_a_length_that_lies",),
        "Whoever connects has a node keep four gigabytes.",
    ),
    "certificate-of-any-node": Bug(
        "blockdb/cluster/peers/greeting.py",
        "if claimed not in uris:",
        "if not uris:",
        (f"{TLS}::test_a_node_that_says_it_is_another_one",),
        "A node may say that it is another one.",
    ),
    "sender-not-compared": Bug(
        "blockdb/cluster/peers/incoming.py",
        "if any(message.sender != sender for message in messages):",
        "if not messages:",
        (f"{HOSTILE}::test_garbage",),
        "A node may vote for all the others.",
    ),
    "digest-not-compared": Bug(
        "blockdb/cluster/peers/snapshots.py",
        "if end.size_bytes != size or end.sha256 != digest:",
        "if end.size_bytes != size:",
        (f"{SNAPSHOTS}::test_what_is_no_whole_snapshot",),
        "A snapshot of other bytes is taken over.",
    ),
    "newest-dropped": Bug(
        "blockdb/cluster/peers/backlog.py",
        "data = queue.popleft()[1]",
        "data = queue.pop()[1]",
        (f"{DELIVERY}::test_messages_keep_their_order_both_ways",),
        "What was said last is sent first.",
    ),
    "heartbeats-wait": Bug(
        "blockdb/cluster/peers/backlog.py",
        "        if self._short:\n            return self._batch(self._short)\n        if self._rest is not None:\n"
        '            return self._piece(b"")\n',
        "        if self._rest is not None:\n"
        '            return self._piece(b"")\n        if self._short:\n            return self._batch(self._short)\n',
        (f"{DELIVERY}::test_a_heartbeat_overtakes_a_long_message_and_entries_keep_their_order",),
        "A value of 64 MiB has the followers take the leader for dead.",
    ),
    "rest-outlives-connection": Bug(
        "blockdb/cluster/peers/backlog.py",
        "            self._rest = None\n            self.dropped += 1",
        "            self.dropped += 1",
        (f"{DELIVERY}::test_of_a_long_message_that_was_cut_short_nothing_comes_later",),
        "After a lost connection, the second half of a message is sent as one of its own.",
    ),
}
