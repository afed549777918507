"""cluster: the nodes that keep the same database, and which of them leads."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .command import Command, Need, Where, flag, option, positional
from .context import Context
from .display import human_time, plural, printable
from .failures import FAILED, UsageError
from .parsing import count
from .results import Column, Facts, Live, Result, Table, Words

if TYPE_CHECKING:
    from blockdb.client.cluster import RemoteCluster
    from blockdb.nodes import ClusterEvent, ClusterState, NodeState, PartitionState, StreamGroup

__all__ = ["COMMANDS"]


def _cluster(context: Context) -> RemoteCluster:
    """The cluster. Raises UsageError where no server is asked."""
    if context.server is None:
        raise UsageError("a cluster is asked over its servers; give --url, with the address of one of them, or several")
    cluster: RemoteCluster = context.database.cluster  # type: ignore[attr-defined]
    return cluster


def status(context: Context, _: Namespace) -> Result:
    """Show who leads, and how far the node that answers is."""
    state = _cluster(context).state()
    facts = (
        ("Health", _health(state)),
        ("Engine", state.engine),
        ("Leader", state.leader or "(none)"),
        ("Term", f"{state.term:,}"),
        ("Asked", f"{state.node_id} ({state.state})"),
        ("Decided", f"{state.commit:,} entries"),
        ("Applied here", f"{state.applied:,}"),
        ("Log kept from", f"{state.first_index:,}"),
        ("Last election", human_time(state.last_election_ms) if state.last_election_ms else "(none seen)"),
        ("Elections seen", f"{state.elections:,}"),
        *((("Partitions", _held(state)),) if state.partitions else ()),
        *((("Read-only copy", _copied(state)),) if _mirrors(state) else ()),
        *((("Differs from the others", state.diverged),) if state.diverged else ()),
    )
    shown = tuple((name, printable(words)) for name, words in facts)
    return Facts(f"Cluster {printable(state.cluster_id)}", shown, asdict(state))


def _health(state: ClusterState) -> str:
    return f"{state.health}, {state.active_nodes} of {plural(len(state.members), 'node')} active"


def _mirrors(state: ClusterState) -> list[StreamGroup]:
    return [group for group in state.groups if group.mirror_lag is not None]


def _copied(state: ClusterState) -> str:
    """How far a copy of a cluster elsewhere is behind it, as far as the copy can know."""
    lag = max(group.mirror_lag or 0 for group in _mirrors(state))
    silent_s = max(group.mirror_silent_ms or 0 for group in _mirrors(state)) / 1000
    return f"{plural(lag, 'message')} behind the cluster, which was heard of {silent_s:.0f} s ago"


def _held(state: ClusterState) -> str:
    held = sum(each.is_held for each in state.partitions)
    return f"{len(state.partitions):,}, of which {held:,} are kept here"


def members(context: Context, _: Namespace) -> Result:
    """List the nodes."""
    state = _cluster(context).state()
    columns = (
        Column("id", "NODE", role="key"),
        Column("state", "STATE"),
        Column("role", "ROLE"),
        Column("address", "ADDRESS"),
        Column("match", "ON DISK", "count"),
        Column("applied", "APPLIED", "count"),
        Column("lag", "BEHIND", "count"),
        Column("last_heard_ms", "HEARD", "time", role="muted"),
        Column("chain", "CHAIN"),
    )
    return Table(columns, (_row(member) for member in state.members), more=None if state.leader else "Nobody leads.")


def _row(member: NodeState) -> Mapping[str, Any]:
    chain = {None: "", True: "agrees", False: "DIFFERS"}[member.agrees]
    return {**asdict(member), "last_heard_ms": member.last_heard_ms or None, "chain": chain}


def partitions(context: Context, _: Namespace) -> Result:
    """List the partitions, and who holds them."""
    columns = (
        Column("label", "PARTITION", role="key"),
        Column("leader", "LEADER"),
        Column("term", "TERM", "count"),
        Column("commit", "DECIDED", "count"),
        Column("kept_on", "KEPT ON"),
        Column("lag", "MOST BEHIND", "count"),
        Column("chain", "CHAIN"),
    )
    found = _cluster(context).partitions()
    return Table(columns, map(_partition, found), more=None if found else "The engine of this cluster has none.")


def _partition(each: PartitionState) -> Mapping[str, Any]:
    chain = "DIFFERS" if any(node.agrees is False for node in each.nodes) else "agrees"
    return {
        **asdict(each),
        "label": each.label,
        "kept_on": ", ".join(_holder(node) for node in each.nodes),
        "lag": max((node.lag for node in each.nodes), default=0),
        "chain": chain,
    }


def _holder(node: NodeState) -> str:
    """A node that holds a partition; one that is on its way says so."""
    notes = [word for word in ("on its way" * (node.role == "learner"), "away" * (not node.is_active)) if word]
    return printable(node.id) + (f" ({', '.join(notes)})" if notes else "")


def rebalance(context: Context, arguments: Namespace) -> Result:
    """Spread partitions evenly."""
    moves = _cluster(context).rebalance(dry_run=arguments.dry_run)
    if not moves:
        return Words("The partitions are spread evenly: nothing has to move", {"moves": []}, role="success")
    columns = (
        Column("partition", "PARTITION", role="key"),
        Column("add", "TO"),
        Column("remove", "FROM"),
    )
    return Table(columns, map(asdict, moves), more="Nothing was moved." if arguments.dry_run else None)


def health(context: Context, _: Namespace) -> Result:
    """Say whether it can answer."""
    state = _cluster(context).state()
    data = {"status": state.health, "active_nodes": state.active_nodes, "total_nodes": len(state.members)}
    is_good = state.health == "healthy"
    return Words(
        f"The cluster is {_health(state)}",
        data,
        role="success" if is_good else "error",
        exit_code=0 if is_good else FAILED,
    )


def add(context: Context, arguments: Namespace) -> Result:
    """Take a node in."""
    peer = arguments.peer_address or ""
    _cluster(context).add(arguments.node, arguments.address, peer_address=peer, replica=arguments.replica)
    what = "a replica" if arguments.replica else "a voter, once it has caught up"
    return Words(
        f"{printable(arguments.node)} belongs to the cluster as {what}", {"node_id": arguments.node}, role="success"
    )


def remove(context: Context, arguments: Namespace) -> Result:
    """Let a node go."""
    _cluster(context).remove(arguments.node)
    words = f"{printable(arguments.node)} belongs to the cluster no more"
    return Words(words, {"node_id": arguments.node}, role="success")


def transfer(context: Context, arguments: Namespace) -> Result:
    """Have another node lead."""
    leader = _cluster(context).transfer(arguments.node)
    return Words(f"{printable(leader)} leads", {"leader": leader}, role="success")


def rebuild(context: Context, _: Namespace) -> Result:
    """Set the database of a node aside."""
    from blockdb.cluster.rebuilding import give_up_database

    assert context.config is not None
    kept = give_up_database(Path(context.config.data_dir))
    words = f"The node has no database now, and gets a copy when it is started. What it had is kept in {kept}"
    return Words(words, {"kept": str(kept)}, role="success")


def events(context: Context, arguments: Namespace) -> Result:
    """Print what happens."""
    return Live(_events(_cluster(context), arguments.count), lambda: "Interrupted.")


def _events(cluster: RemoteCluster, most: int | None) -> Iterator[tuple[str, Mapping[str, Any]] | None]:
    from msgspec.structs import asdict as fields_of

    left = most
    for event in cluster.events() if most != 0 else ():
        if event is None:
            yield None
            continue
        yield _line(event), fields_of(event)
        left = None if left is None else left - 1
        if left == 0:
            return


def _line(event: ClusterEvent) -> str:
    place = f"term {event.term}" + (f" index {event.index}" if event.index else "")
    about = " ".join(printable(word) for word in (event.other, event.what) if word)
    return f"{human_time(event.time_ms)}  {printable(event.node_id)}  {place}  {event.kind}  {about}".rstrip()


_NODE = positional("node", "The name of a node.")
_FORMATS = ("table", "json", "csv")

COMMANDS = (
    Command(
        "cluster status",
        "Show who leads the cluster, and how far the node that answers is.",
        status,
        details="docs/CLUSTER.md says how a cluster is started, and what it survives.",
        examples=(("cluster status", "As that node sees it"),),
        need=Need.READ,
        formats=_FORMATS,
    ),
    Command(
        "cluster members",
        "List the nodes of the cluster, and how far each of them is.",
        members,
        details="What the leader knows of the others is the newest: ask it. CHAIN says whether the newest sealed block "
        "of a node is the same as here.",
        examples=(("cluster members --format json", "For a program"),),
        need=Need.READ,
        formats=("table", "json", "jsonl", "csv"),
    ),
    Command(
        "cluster health",
        "Say whether the cluster can answer; exit code 1 unless all of its nodes are there and one leads.",
        health,
        examples=(("cluster health", "For a script"),),
        need=Need.READ,
        formats=_FORMATS,
    ),
    Command(
        "cluster add",
        "Take a node into the cluster.",
        add,
        (
            _NODE,
            positional("address", "Where it serves its users: host:port."),
            option(
                "--peer-address",
                metavar="HOST:PORT",
                help="Where it talks to other nodes; else the same with a port 1,000 higher.",
            ),
            flag("--replica", help="It gets everything and answers reads, but never counts in decisions."),
        ),
        details="The node is started with `blockdb server --join`, which asks for the same by itself: this is needed "
        "where it has no right to. It counts once it has caught up.",
        examples=(("cluster add node4 192.168.1.13:8080", "Take node4 in"),),
        need=Need.READ,
        formats=_FORMATS,
        changes=True,
    ),
    Command(
        "cluster remove",
        "Let a node go from the cluster for good.",
        remove,
        (_NODE,),
        details="It stops taking part at once, and its directory can be deleted. To come back it needs an empty one, "
        "and another name.",
        examples=(("cluster remove node4", "Let node4 go"),),
        need=Need.READ,
        formats=_FORMATS,
        changes=True,
        dangerous=True,
    ),
    Command(
        "cluster transfer",
        "Have another node lead, as before one is taken down.",
        transfer,
        (positional("node", "The one that is to lead; else the one that has the most of the log.", nargs="?"),),
        examples=(("cluster transfer node2", "Have node2 lead"),),
        need=Need.READ,
        formats=_FORMATS,
        changes=True,
    ),
    Command(
        "cluster partitions",
        "List the partitions of collections, and which nodes keep them.",
        partitions,
        details="With the engine jetstream. The node that answers asks the others for what it does not keep itself. "
        "`root` says what collections there are; every node keeps it. docs/JETSTREAM.md says more.",
        examples=(("cluster partitions", "Who keeps what, and how far the slowest is behind"),),
        need=Need.READ,
        formats=("table", "json", "jsonl", "csv"),
    ),
    Command(
        "cluster rebalance",
        "Spread partitions evenly over the nodes, as after one was added.",
        rebalance,
        (flag("--dry-run", help="Say what would move, and move nothing."),),
        details="With the engine jetstream. Each copy is there, and has caught up, before the one goes whose place it "
        "takes; meanwhile everything can be used.",
        examples=(
            ("cluster rebalance --dry-run", "What would move"),
            ("cluster rebalance", "Move it"),
        ),
        need=Need.READ,
        formats=("table", "json", "jsonl", "csv"),
        changes=True,
    ),
    Command(
        "cluster rebuild",
        "Have a node that was stopped fetch its database anew from the others: because it is damaged, or differs.",
        rebuild,
        details="What it had stays in quarantine/ of its directory. A node whose database cannot be opened does the "
        "same by itself when it is started.",
        examples=(("cluster rebuild --data-dir node2", "The node whose directory that is"),),
        need=Need.NOTHING,
        where=Where.COMMAND_LINE,
        directory_only=True,
        formats=_FORMATS,
        changes=True,
        dangerous=True,
    ),
    Command(
        "cluster events",
        "Print what happens in the cluster, as it happens: elections, nodes that come and go, snapshots.",
        events,
        (option("--count", metavar="N", type=count, help="End after N events."),),
        examples=(("cluster events", "Until ^C"),),
        need=Need.READ,
        formats=("table", "jsonl"),
    ),
)
