"""The state machine: what the replicated log is applied to. Every node makes the same of the same commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Any

from blockdb.cluster.machine.changing import Changing
from blockdb.cluster.machine.commands import (
    Commit,
    CommitRead,
    Content,
    Envelope,
    Put,
    PutEach,
    PutMany,
    Redact,
    decode,
    digest_of,
    encode_content,
    lasting,
)
from blockdb.cluster.machine.deciding import Deciding
from blockdb.cluster.machine.heads import Difference, Heads
from blockdb.cluster.machine.holding import Holding
from blockdb.cluster.machine.outcomes import MOST, Outcomes
from blockdb.cluster.machine.pending import Blocked, Pending
from blockdb.cluster.machine.refusals import REFUSALS
from blockdb.cluster.machine.snapshots import prepare, settle, take, take_over
from blockdb.cluster.machine.storing import Job, Storing
from blockdb.cluster.replicated_log import Command, Snapshot
from blockdb.config import DatabaseConfig
from blockdb.database.core import Core
from blockdb.database.database import Database
from blockdb.errors import BlockDBError, Corruption, DatabaseClosed, InvalidData, StorageError, Unavailable
from blockdb.layout import DatabaseFiles
from blockdb.masterkey import MasterKeySource
from blockdb.security.tokens import TokenInfo
from blockdb.storage.commons import Means
from blockdb.storage.door import Door

__all__ = ["Machine"]


class Machine:
    """A `StateMachine` over a database. One thread applies; others read through `core` and wait for outcomes."""

    def __init__(
        self,
        config: DatabaseConfig,
        source: MasterKeySource | None = None,
        *,
        door: Door | None = None,
        adopt: bool = False,
        most_outcomes: int = MOST,
        means: Means | None = None,
    ) -> None:
        """Open what the directory holds, if it holds anything; a crash is recovered from.

        With `adopt`, a database that belonged to no cluster becomes the beginning of one, and what is in it beyond the
        mark counts as applied: for a log that keeps nothing. `means` are shared with other databases. Raises
        ConfigError, Corruption, DatabaseNotFound, DatabaseLocked, MasterKeyError, StorageError.
        """
        self.outcomes = Outcomes(most_outcomes)
        self._applying = RLock()
        """Held by whoever applies, or takes a picture of what was applied."""
        self._failure: BlockDBError | None = None
        """Why nothing is applied any more."""
        self._silence: BlockDBError | None = None
        """Why nothing is served any more either."""
        self.diverged = ""
        """Where the history of this node is another one than that of the others, once that was found."""
        self.damage: Corruption | None = None
        """What of the database was found to be damaged."""
        self.on_database: Callable[[Database], None] = lambda database: None
        """Called with the database when there is one, and with each that takes its place."""
        self._config, self._source, self._adopt, self._means = config, source, adopt, means
        self._door = door or Door()
        self.pending = Pending()
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Open what the directory holds."""
        settle(self._door, DatabaseFiles(Path(self._config.data_dir)))
        given = self._config, self._source, self.outcomes, self.pending, self._door
        self._holding = Holding(*given, adopt=self._adopt, means=self._means)
        self.heads = Heads(self._holding)
        self._storing, self._changing = Storing(self._holding), Changing(self._holding)
        self._deciding = Deciding(self._holding, self._storing)
        try:
            self._holding.open()
        except Corruption as error:
            with suppress(BlockDBError):
                self._holding.abandon()
            self._give_up(error)

    # What others see.

    @property
    def database(self) -> Database:
        """The database that commands are applied to: nobody else may write to it. Raises Unavailable."""
        if self._silence is not None:
            raise self._silence
        found = self._holding.database
        if found is None:
            self.check()
            raise Unavailable(
                "The node has no database yet: the cluster was not formed, or a copy of it is on its way."
            )
        return found

    def check(self) -> None:
        """Raises what stopped it, if something did: then nothing is applied any more."""
        if self._failure is not None:
            raise self._failure

    @property
    def core(self) -> Core:
        """What handles of the database share. Raises as `database`."""
        return self.database._core

    @property
    def has_database(self) -> bool:
        """Whether there is one already."""
        return self._holding.database is not None

    @property
    def is_ahead(self) -> bool:
        """Whether the database holds what the log has not come to yet, since a crash: until then nobody may read."""
        return self._holding.is_ahead

    @property
    def tokens(self) -> tuple[TokenInfo, ...]:
        """The tokens that are good at all nodes; another tuple when they have changed. For any thread."""
        return self._holding.tokens

    def files_redacted(self, collection: bytes) -> int:
        """How many files of this node the last redaction in a collection concerned."""
        return self._changing.files_redacted.get(collection, 0)

    # A StateMachine.

    @property
    def applied_index(self) -> int:
        """The index of the last command that was applied."""
        return 0 if self.needs_copy else self._holding.index

    @property
    def needs_copy(self) -> bool:
        """Whether what it holds is damaged, or is not what the others hold: only `restore` makes it good again."""
        return bool(self.diverged) or self.damage is not None

    @property
    def erased_index(self) -> int:
        """Commands up to this one hold values that were redacted since: the log is to drop them soon."""
        return self._holding.erased_index

    def apply(self, commands: Sequence[Command]) -> None:
        """Apply commands, in order. What raises stops the node; it begins again from the mark."""
        with self._applying:
            self.check()
            try:
                self._apply(commands)
            except BaseException as error:
                self._give_up(_reason(error))
                raise

    def _apply(self, commands: Sequence[Command]) -> None:
        holding, had = self._holding, self.has_database
        for command in commands:
            envelope, content = decode(command.data)
            holding.time_ms = max(holding.time_ms, envelope.time_ms)
            jobs = self._jobs(envelope, content)
            if jobs is None:
                self._storing.flush()
                self._do(command.index, envelope, content)
                continue
            self._put(jobs)
        self._storing.flush()
        if commands:
            holding.index = commands[-1].index
        if not had and self.has_database:
            self.on_database(self.database)

    def _put(self, jobs: Sequence[Job]) -> None:
        """Have records stored with the next flush, unless they were before."""
        storing, outcomes = self._storing, self.outcomes
        if not outcomes.has_any([job.id for job in jobs]) and storing.add_all(jobs):
            return
        for job in jobs:
            if storing.is_waiting(job.id) or job.id in outcomes:
                storing.flush()  # what waits may have its place in the table
            if not outcomes.repeated(job.id, job.digest):
                storing.add(job)

    def _jobs(self, envelope: Envelope, content: Content) -> list[Job] | None:
        """What is to be stored, each record for itself; None where a command is about something else."""
        time_ms = self._holding.time_ms
        if type(content) is Put:
            digest = digest_of(bytes(envelope.content))
            return [Job(envelope.id, digest, time_ms, envelope.seed, 0, content.collection, content.key, content.value)]
        if type(content) is PutEach:
            collection = content.collection
            return [
                Job(id_, put_digest(collection, key, value), time_ms, envelope.seed, ordinal, collection, key, value)
                for ordinal, (id_, key, value) in enumerate(content.items)
            ]
        return None

    def _do(self, index: int, envelope: Envelope, content: Content) -> None:
        """Apply a command, unless it was applied before."""
        if self._deciding.apply(envelope, content):
            self._holding.index = index
            return
        digest = digest_of(lasting(content, bytes(envelope.content)))
        if self.outcomes.repeated(envelope.id, digest):
            self._holding.index = index
            return
        holding, time_ms, seed = self._holding, self._holding.time_ms, envelope.seed
        holding.surroundings.enter(time_ms, seed)
        value: Any = None
        refusal: BlockDBError | None = None
        is_changing = False
        try:
            if isinstance(content, PutMany):
                value = self._storing.put_many(content, time_ms, seed)
            elif isinstance(content, Commit):
                value = self._storing.commit(content, time_ms, seed)
            else:
                begun = holding.begun(index)
                if not seed:
                    raise InvalidData("A command of this kind has to bring chance along.")
                note = self._begin(index, seed, content) if begun is None else begun.note
                is_changing = True
                value = self._changing.carry_out(content, note, begun is not None)
        except Blocked as error:
            self.outcomes.tell(envelope.id, digest, None, error)
            holding.index = index
            return
        except REFUSALS as error:
            refusal = error
        self.outcomes.add(envelope.id, digest, value, refusal)
        if is_changing:
            if isinstance(content, Redact) and refusal is None:
                holding.erased_index = index
            holding.end(index)
        holding.index = index

    def _begin(self, index: int, seed: bytes, content: Content) -> bytes:
        self._changing.check_free(content)
        note = self._changing.look(content)
        if self._holding.is_ahead:
            what = "it holds more than the log of the cluster tells of"
            raise Corruption(str(self._holding.files.root), None, what)
        self._holding.index = index - 1
        self._holding.begin(index, seed, note)
        return note

    def check_current(self, reads: Sequence[CommitRead]) -> None:
        """Raises Deadlock where something that a transaction has read is not so any more, between two commands.

        Blocked where it may be about to become so.
        """
        with self._applying:
            self.check()
            self._storing.check_current(reads)

    def pass_over(self, index: int) -> None:
        """What the log has up to there and did not bring is no command."""
        with self._applying:
            self._holding.index = max(self._holding.index, index)

    def make_durable(self) -> int:
        """Have what was applied on the disk; the log before the index that is returned may go. Raises StorageError."""
        with self._applying:
            self.check()  # of a command that failed nobody knows how far it has come
            self._holding.write_mark()
            return self._holding.index

    def snapshot(self) -> Snapshot:
        """What it holds now: between two commands. Commands go on being applied while it is read.

        Raises Unavailable where there is no database yet, StorageError.
        """
        with self._applying:
            self.check()
            return take(self._holding)

    def restore(self, snapshot: Snapshot) -> None:
        """Become what a snapshot holds; nothing changes unless all of it is good.

        A database that was damaged, or had another history, stays in `quarantine/`. Handles go on with the new one.
        Raises InvalidData, MasterKeyError, StorageError.
        """
        with self._applying:
            files = self._holding.files
            prepare(self._door, snapshot, files, self._holding.source)
            try:
                with suppress(BlockDBError):  # it may be damaged
                    self._holding.abandon()
                take_over(self._door, files, keep_old=self.needs_copy)
                self._failure, self._silence, self.diverged, self.damage = None, None, "", None
                self._begin_anew()
            except BaseException as error:
                self.stop(_reason(error))
                raise
            self.check()
            self.on_database(self.database)

    def _give_up(self, error: BlockDBError) -> None:
        """Apply nothing any more, because of that; what is damaged does not serve either."""
        if not isinstance(error, Corruption):
            self._fail(error)
            return
        self.damage = error
        self.stop(
            Unavailable(
                f"This node does not serve, since its database is damaged ({error.path}: {error.what}). It has to get "
                "a copy from another node; ask that one meanwhile."
            )
        )

    def _fail(self, error: BlockDBError) -> None:
        """Apply nothing any more, because of that: what was applied can be read."""
        self._failure = self._failure or error
        self.outcomes.fail(self._failure)

    def stop(self, error: BlockDBError) -> None:
        """Serve nothing any more, because of that."""
        self._silence = self._silence or error
        self._fail(error)

    def diverge(self, difference: Difference) -> None:
        """Serve nothing any more: the history here is not that of the others. A copy of theirs (`restore`) mends it."""
        self.diverged = str(difference)
        self.stop(
            Unavailable(
                f"This node does not serve: from {difference} on its history is another one than that of the cluster. "
                "It will be rebuilt from another node; ask that one meanwhile."
            )
        )

    def close(self) -> None:
        """Close the database, all that was applied on the disk. Idempotent. Raises StorageError."""
        with self._applying:
            try:
                if self._failure is None:
                    self._holding.close()
                else:
                    self._holding.abandon()
            finally:
                self.stop(DatabaseClosed("The database was closed."))


def put_digest(collection: bytes, key: bytes, value: bytes) -> bytes:
    """The digest of a record's command, also where it came with others."""
    return digest_of(encode_content(Put(collection, key, value)))


def _reason(error: BaseException) -> BlockDBError:
    if isinstance(error, BlockDBError):
        return error
    return StorageError(f"The node stopped: a command could not be applied ({type(error).__name__}: {error}).")
