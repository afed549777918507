"""What a node knows and what it has to say: the ground that elections, replication, membership and reads stand on."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from blockdb.format.consensus import Entry, HardState, Kind
from blockdb.raft.config import Chance, RaftConfig
from blockdb.raft.errors import Broken
from blockdb.raft.log import Log, LogView
from blockdb.raft.messages import AppendAnswer, Message, SnapshotHead
from blockdb.raft.progress import Progress
from blockdb.raft.ready import Envelope
from blockdb.raft.roll import Roll
from blockdb.raft.rounds import Rounds

__all__ = ["Awaited", "Core", "State"]


class State(StrEnum):
    """What a node is doing in its term."""

    FOLLOWER = "Follower"
    PRE_CANDIDATE = "PreCandidate"
    CANDIDATE = "Candidate"
    LEADER = "Leader"


@dataclass(slots=True)
class Awaited:
    """What is on the disk once a Ready is forced."""

    number: int
    term: int
    last_index: int


class Core:
    """State, outgoing messages, and the steps that several parts take."""

    def __init__(
        self,
        config: RaftConfig,
        hard_state: HardState,
        log: LogView,
        chance: Chance,
        applied: int = 0,
        is_mending: bool = False,
        mend_to: int = 0,
    ) -> None:
        self.config = config
        self.id = config.id
        self.term = hard_state.term
        self.vote = hard_state.vote
        self.state = State.FOLLOWER
        self.leader = ""
        self.log = Log(log)
        self.roll = Roll(self.log.head)
        for entry in log.changes:
            self.roll.add(entry)
        self._refuse_gaps(applied, is_mending)
        self.commit = max(min(max(hard_state.commit, applied), self.log.last_index), self.log.head.index)
        self.forced_index = self.log.last_index
        self._forced_term = self.term
        self.handed = applied
        """The last index that was handed out to be applied."""
        self.applied_index = applied
        self._unapplied: deque[tuple[int, int]] = deque()
        self._unapplied_bytes = 0
        self.is_mending = is_mending
        self._mend_to = mend_to
        """The last index that this node may have acknowledged before it lost some; 0: unknown."""
        self._mend_after_term = self.term

        self._chance = chance
        self.now = 0
        """Ticks since the beginning."""
        self._election_elapsed = 0
        self._heartbeat_elapsed = 0
        self._election_timeout = 0
        self._draw_timeout()
        if self.roll.voters == (self.id,):
            self._election_timeout = 1  # nobody else may lead
        self._votes: dict[str, bool] = {}

        self.progress: dict[str, Progress] = {}
        """Of the other members, while this node leads."""
        self._term_start = 0
        """The index of the leader's BEGINNING entry."""
        self._parted_index = 0
        """The list of members whose commit the leader has seen to."""
        self._uncommitted: deque[tuple[int, int]] = deque()
        self._uncommitted_bytes = 0
        self._transferee = ""
        self._transfer_tick = 0
        self._rounds = Rounds()
        self._has_work = False
        """The leader may have something to commit or to send."""

        self._asked: dict[int, tuple[int, int]] = {}
        """Reads that the leader was asked about, oldest first: the number that it was told, the asker's, and when."""
        self._next_asked = chance.randrange(1 << 62)  # an answer to an earlier life of this node must not fit
        self._mend_number = self._next_asked
        """What the question has for a number how far the leader's log goes."""
        self._confirmed: list[tuple[int, int]] = []

        self._number = 0
        self._awaited: deque[Awaited] = deque()
        self._told_state = hard_state
        self._at_once: list[Envelope] = []
        self._after_force: list[Envelope] = []
        self._acknowledged = -1
        """What the next Ready tells the leader that the log agrees up to; -1: nothing."""
        self._told_match = -1
        """What this term's leader was told last."""
        self._snapshot: SnapshotHead | None = None
        self._wants_snapshot: list[str] = []

    def _refuse_gaps(self, applied: int, is_mending: bool) -> None:
        head, last = self.log.head.index, self.log.last_index
        if applied < head:
            raise Broken(
                f"the state machine has everything up to entry {applied}, and the log begins behind entry {head}: what "
                "is between is missing, so the node must get a snapshot before it takes part"
            )
        if applied > last and not is_mending:
            raise Broken(
                f"the state machine has everything up to entry {applied}, and the log ends at entry {last}: it must "
                "begin behind the snapshot that the state machine took over, or it lost what was forced"
            )

    @property
    def is_voter(self) -> bool:
        """Whether this node counts."""
        return self.id in self.roll.voters

    @property
    def _may_stand(self) -> bool:
        """Whether this node may be elected: a voter, or one whose removal is not committed (thesis, 4.2.2).

        The latter may be the only one who has the entry that removes it. It does not count its own vote.
        """
        is_leaving = self.roll.index > self.commit and self.id in self.roll.voters_before
        return (self.is_voter or is_leaving) and not self.is_mending

    @property
    def _is_own_term_committed(self) -> bool:
        """Whether the leader is certain of what is committed (thesis, 6.4): before, nothing is read or changed."""
        return self.commit >= self._term_start

    # ── saying things ────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, to: str, message: Message) -> None:
        """What need not wait for the disk."""
        self._at_once.append((to, message))

    def _promise(self, to: str, message: Message) -> None:
        """What must not be said before everything up to here is on the disk."""
        self._after_force.append((to, message))

    def _answer(self, to: str, message: Message) -> None:
        """What promises nothing but that this node is in its term."""
        (self._at_once if self._forced_term == self.term else self._after_force).append((to, message))

    # ── terms and roles ──────────────────────────────────────────────────────────────────────────────────────────

    def _draw_timeout(self) -> None:
        self._election_elapsed = 0
        ticks = self.config.election_ticks
        self._election_timeout = ticks + self._chance.randrange(ticks)

    def _become_follower(self, term: int, leader: str) -> None:
        """Follow `leader` (empty: nobody known). The vote is forgotten with its term only."""
        if term > self.term:
            self.term = term
            self.vote = ""
            self._acknowledged = self._told_match = -1
        if leader != self.leader or self.state is State.LEADER:
            self._give_up_reads()
        self.state = State.FOLLOWER
        self.leader = leader
        self.progress.clear()
        self._uncommitted.clear()
        self._uncommitted_bytes = 0
        self._transferee = ""
        self._has_work = False
        self._draw_timeout()

    def _give_up_reads(self) -> None:
        """Nobody confirms these any more: they are to be asked again."""
        for asker, number in self._rounds.clear():
            self._tell_read(asker, number, 0)
        self._confirmed.extend((number, 0) for number, _ in self._asked.values())
        self._asked.clear()

    def _tell_read(self, asker: str, number: int, index: int) -> None:
        raise NotImplementedError

    def _new_progress(self) -> Progress:
        """Of a member of whom nothing is known yet: it is probed at the end of the log."""
        config = self.config
        return Progress(self.log.last_index + 1, config.max_in_flight, config.max_in_flight_bytes, self.now)

    # ── the log ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _append_own(self, kind: Kind, *datas: bytes) -> int:
        """Put the leader's own entries into its log; they are counted here once they are forced."""
        log, term = self.log, self.term
        if not datas:
            return log.last_index
        first = log.last_index + 1
        log.append([Entry(index, term, kind, data) for index, data in enumerate(datas, first)])
        self._has_work = True
        return log.last_index

    def _advance(self, commit: int) -> None:
        """Everything up to `commit` is committed; an older value is passed over, so it never moves back."""
        if commit <= self.commit:
            return
        if commit > self.log.last_index:
            raise Broken(f"entry {commit} is said to be committed, and the log ends at {self.log.last_index}")
        self.commit = commit
        while self._uncommitted and self._uncommitted[0][0] <= commit:
            self._uncommitted_bytes -= self._uncommitted.popleft()[1]
        self._note_mended()

    def _forget_forced(self, index: int) -> None:
        """The log was cut off from `index` on: what of it was on the disk, or on its way there, counts no longer."""
        self.forced_index = min(self.forced_index, index - 1)
        for awaited in self._awaited:
            awaited.last_index = min(awaited.last_index, index - 1)

    def _note_mended(self) -> None:
        raise NotImplementedError

    def _acknowledge(self, index: int) -> None:
        """Tell the leader, once it is forced, that the log agrees with its own up to `index`."""
        self._acknowledged = max(self._acknowledged, index)

    def _acknowledgement(self) -> AppendAnswer:
        self._told_match = self._acknowledged
        return AppendAnswer(self.id, self.term, self._acknowledged)
