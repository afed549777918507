"""The script of the tour: what is shown, pressed, waited for, and must be true. The tests run the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import blockdb
from blockdb.commands.display import human_count, human_duration, plural

from ..screens.cluster import ClusterView
from ..screens.proof import Proof
from .step import Broken, Ground, Step, said

if TYPE_CHECKING:
    from blockdb import AnyDatabase
    from blockdb.commands.recordings.lanes import Lane, Sample

__all__ = ["KEY", "SCRIPT", "VALUE"]

KEY, VALUE = b"tour:0001", b"kept-for-good"
FIND = "1 J tour:0001 ⏎"
TAMPERING = "edit-value"
NEAR = 40
"""A node that is so few entries behind, while something is written all the time, is as far as the others."""


# ── records ──


def _database(ground: Ground) -> AnyDatabase:
    database = ground.explorer.database
    if database is None:
        raise Broken("there is no database")
    return database


def _is_stored(ground: Ground) -> bool:
    return _database(ground).get(KEY) is not None


def _is_kept(ground: Ground) -> str:
    database = _database(ground)
    if database.get(KEY) != VALUE:
        raise Broken("the record is not there")
    try:
        database.put(KEY, b"something else")
    except blockdb.DuplicateKey:
        return "It is there for good: a second put of its key was refused."
    raise Broken("its key could be stored twice")


def _block(ground: Ground) -> int | None:
    record = _database(ground).record(KEY)
    return None if record is None else record.block


def _is_in_block(ground: Ground) -> str:
    number = _block(ground)
    if number is None:
        raise Broken("it is in no sealed block")
    block = _database(ground).block(number)
    return f"Block {human_count(number)} is sealed: {plural(block.count, 'record')}, hash {block.hash.hex()[:16]}…"


def _is_walked(ground: Ground) -> bool:
    screen = ground.explorer.screen
    return isinstance(screen, Proof) and screen.walk is not None and screen.walk.done


def _is_proven(ground: Ground) -> str:
    screen = ground.explorer.screen
    if not isinstance(screen, Proof) or screen.walk is None or screen.walk.failed is not None:
        raise Broken("the proof does not hold")
    return f"Proven: {plural(len(screen.walk.stages), 'stage')}, each hash recomputed here, up to the signature."


def _is_tampered(ground: Ground) -> bool:
    laboratory = ground.explorer.laboratory
    if TAMPERING in laboratory.troubles:
        raise Broken(laboratory.troubles[TAMPERING])
    return TAMPERING in laboratory.outcomes and laboratory.doing is None


def _is_caught(ground: Ground) -> str:
    outcome = ground.explorer.laboratory.outcomes[TAMPERING]
    if not outcome.caught_by:
        raise Broken("nothing noticed it")
    return f"{len(outcome.caught_by)} of {len(outcome.findings)} checks caught it, and named the place."


def _is_verified(ground: Ground) -> bool:
    verification = ground.explorer.verification
    return not verification.running and verification.report is not None


def _is_valid(ground: Ground) -> str:
    report = ground.explorer.verification.report
    if report is None or not report.valid:
        raise Broken("the verification found something")
    return (
        f"{plural(report.blocks, 'block')}, {plural(report.records, 'record')}: all hashes, links and signatures hold."
    )


# ── the cluster ──


def _start(ground: Ground) -> None:
    explorer = ground.explorer
    if explorer.scene is None:
        scene = ground.scene()
        explorer.call_from_thread(explorer.show_scene, scene)


def _sample(ground: Ground) -> Sample:
    scene = ground.explorer.scene
    if scene is None or not scene.story.samples:
        raise Broken("there is no cluster")
    return scene.story.samples[-1]


def _lane(ground: Ground, id_: str) -> Lane:
    lane = _sample(ground).lane(id_)
    if lane is None:
        raise Broken(f"{id_} is not there")
    return lane


def _is_whole(ground: Ground) -> bool:
    scene = ground.explorer.scene
    if scene is None or not scene.story.samples:
        return False
    sample = scene.story.samples[-1]
    return sample.leader is not None and len(sample.lanes) == 3 and all(_is_near(sample, lane) for lane in sample.lanes)


def _is_near(sample: Sample, lane: Lane) -> bool:
    """Whether a node has, by its own words, about all that is decided."""
    decided = max(one.commit for one in sample.lanes)
    return lane.is_there and lane.term > 0 and decided > 0 and decided - lane.applied <= NEAR


def _is_led(ground: Ground) -> str:
    leader = _sample(ground).leader
    if leader is None:
        raise Broken("nobody leads")
    return f"{leader.id} leads in term {leader.term}; what is written is on a majority before it counts."


def _is_armed(ground: Ground) -> bool:
    return ground.explorer.armed


def _arm(ground: Ground) -> str:
    return "" if ground.explorer.armed else "!"


def _disarm(ground: Ground) -> str:
    return "!" if ground.explorer.armed else ""


def _choose(ground: Ground, id_: str, deed: str) -> str:
    """The keys that go to a node and do something to it."""
    ids = [lane.id for lane in _sample(ground).lanes]
    seen = [view.lanes.lane for view in ground.explorer.views() if isinstance(view, ClusterView)]
    at = ids.index(seen[0].id) if seen and seen[0] is not None else 0
    steps = ids.index(id_) - at
    return " ".join(["8", *["↓" if steps > 0 else "↑"] * abs(steps), deed])


def _kill(ground: Ground) -> str:
    leader = _sample(ground).leader
    if leader is None:
        raise Broken("nobody leads who could be killed")
    ground.leader, ground.term, ground.commit = leader.id, leader.term, leader.commit
    return _choose(ground, leader.id, "x")


def _is_dead(ground: Ground) -> bool:
    return _lane(ground, ground.leader).fault == "killed"


def _is_gone(ground: Ground) -> str:
    if _lane(ground, ground.leader).is_there:
        raise Broken(f"{ground.leader} is still there")
    return f"{ground.leader} is gone, as by a power cut. Two of three are a majority."


def _is_elected(ground: Ground) -> bool:
    sample = _sample(ground)
    leader = sample.leader
    return (
        leader is not None
        and leader.id != ground.leader
        and leader.term > ground.term
        and leader.commit > ground.commit
    )


def _is_ruled(ground: Ground) -> str:
    leader = _sample(ground).leader
    if leader is None or leader.id == ground.leader:
        raise Broken("nobody else leads")
    assert ground.explorer.scene is not None
    events = ground.explorer.scene.story.events
    killed_ms = max((event.time_ms for event in events if event.kind == "fault"), default=0)
    elected = [event.time_ms for event in events if event.kind == "leader" and event.term == leader.term]
    after = f", {human_duration(max(0, elected[0] - killed_ms) / 1000)} after the kill" if elected and killed_ms else ""
    return f"{leader.id} leads in term {leader.term}{after}; writes go on."


def _revive(ground: Ground) -> str:
    return _choose(ground, ground.leader, "r")


def _is_back(ground: Ground) -> bool:
    return _is_near(_sample(ground), _lane(ground, ground.leader)) and _is_whole(ground)


def _is_followed(ground: Ground) -> str:
    lane = _lane(ground, ground.leader)
    if not _is_near(_sample(ground), lane):
        raise Broken(f"{lane.id} is behind")
    return f"{lane.id} is back, and has all that was written meanwhile: entry {human_count(lane.applied)}."


def _is_one(ground: Ground) -> bool:
    return all(lane.agrees for lane in _sample(ground).lanes)


def _is_same(ground: Ground) -> str:
    lanes = _sample(ground).lanes
    if not all(lane.agrees for lane in lanes):
        raise Broken("the nodes' chains differ")
    return f"{plural(len(lanes), 'node')}, one history: the same blocks and hashes, through kill and election."


SCRIPT = (
    Step(
        "welcome",
        "Welcome",
        "BlockDB keeps what is stored for good, and proves it. This tour stores a record, proves it, tampers with a "
        "copy, and kills a server of a cluster. The keys that it presses stand here, so that you know them.",
        said("On we go."),
    ),
    Step(
        "arm",
        "Armed",
        "The explorer only reads until ! arms it. To store something it has to be armed.",
        said("ARMED stands at the top as long as it is."),
        _arm,
        _is_armed,
    ),
    Step(
        "store",
        "A record",
        ": takes any command of BlockDB, Tab completes it. This one stores a record.",
        _is_kept,
        said(": put␣tour:0001␣kept-for-good ⏎"),
        _is_stored,
    ),
    Step(
        "seal",
        "A block",
        "J finds the record. Records are sealed into blocks, each linked to the one before by its hash; b goes to its "
        "block. One that is open fills before your eyes.",
        _is_in_block,
        said(f"{FIND} b"),
        lambda ground: _block(ground) is not None,
        30.0,
    ),
    Step(
        "prove",
        "A proof",
        "P takes a receipt of the record, a walks along it: from its bytes, hash by hash, to the signed root of the "
        "tree over all records.",
        _is_proven,
        said(f"{FIND} P a"),
        _is_walked,
    ),
    Step(
        "tamper",
        "A forger",
        "The lab changes a value behind the database's back, in the files of a copy. Then every check is made that "
        "anybody could make.",
        _is_caught,
        said("4 Home ↓ ⏎"),
        _is_tampered,
        60.0,
    ),
    Step(
        "verify",
        "All of it",
        "v recomputes the whole chain of the database itself.",
        _is_valid,
        said("v"),
        _is_verified,
        60.0,
    ),
    Step(
        "cluster",
        "Three servers",
        "Three servers start on this machine, as processes of their own, and agree on who leads. It takes seconds.",
        _is_led,
        said("8"),
        _is_whole,
        90.0,
        prepare=_start,
        on_cluster=True,
    ),
    Step(
        "kill",
        "A power cut",
        "x kills the server that leads, in the middle of its work. The arrows choose it.",
        _is_gone,
        _kill,
        _is_dead,
        on_cluster=True,
        is_once=True,
    ),
    Step(
        "election",
        "An election",
        "The others miss the leader, and elect another one. Look at the time line: ▲ stands for election, ◆ leads.",
        _is_ruled,
        until=_is_elected,
        patience_s=30.0,
        on_cluster=True,
        is_once=True,
    ),
    Step(
        "heal",
        "Healed",
        "r starts the killed server again. It finds its data, and gets from the others what it missed.",
        _is_followed,
        _revive,
        _is_back,
        60.0,
        on_cluster=True,
        is_once=True,
    ),
    Step(
        "same",
        "One history",
        "The servers compare their chains about once a second: = agrees.",
        _is_same,
        until=_is_one,
        patience_s=60.0,
        on_cluster=True,
    ),
    Step(
        "end",
        "The end",
        "That was all. ? explains any pane, ^p finds anything, R records what happens. The servers end with the "
        "explorer.",
        said("Esc closes this; ^g brings it back."),
        _disarm,
        lambda ground: not ground.explorer.armed,
    ),
)
"""The steps, in their order."""
