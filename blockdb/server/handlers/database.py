"""The database as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from queue import Empty, Queue
from threading import Thread

import blockdb
from blockdb.database.kinds import kind_of
from blockdb.errors import InvalidData, Unavailable
from blockdb.security.roles import RIGHTS, Right
from blockdb.server.service import Session
from blockdb.statistics import ScrubStatistics
from blockdb.types import Act, Progress, Report
from blockdb.wire.messages import server
from blockdb.wire.messages.proofs import Chunk
from blockdb.wire.messages.records import InCollection
from blockdb.wire.operation import DEFAULT_COLLECTION, Nothing

MOST_ACTS = 1_000
PROGRESS_S = 0.25
"""So often it is told how far an audit is."""


def whoami(session: Session, request: Nothing) -> server.Whoami:
    """Who is asking."""
    who = session.principal
    return server.Whoami(
        name=who.name,
        role=who.role.value,
        collections=None if who.collections is None else sorted(who.collections),
        prefix=who.prefix,
        expires_ms=who.expires_ms,
    )


def about(session: Session, request: Nothing) -> server.About:
    """What is served."""
    database = session.database
    return server.About(
        version=blockdb.__version__,
        data_dir=str(database.path),
        default_collection=DEFAULT_COLLECTION,
        collection_id=database.id,
        read_only=database.read_only,
    )


def audit_log(session: Session, request: server.Acts) -> server.AuditLog:
    """Entries of the audit log."""
    if not 0 <= request.limit <= MOST_ACTS:
        raise InvalidData(f"At most {MOST_ACTS:,} entries are given at once: limit is from 0 to that.")
    found = session.database.acts(
        after=request.after,
        before=request.before,
        limit=request.limit,
        reverse=request.reverse,
        principal=request.principal,
        operation=request.operation,
        failed=request.failed,
    )
    return server.AuditLog(entries=[_entered(act) for act in found])


def _entered(act: Act) -> server.Entered:
    fields = act._asdict()
    return server.Entered(key_count=fields.pop("keys"), **fields)


def database_statistics(session: Session, request: Nothing) -> server.Snapshot:
    """All that is counted and timed."""
    return server.Snapshot(statistics=session.database.stats())


def statistics(session: Session, request: InCollection) -> server.Snapshot:
    """All that is counted and timed of a collection; what the scrubber found anywhere is for those who may verify."""
    collection = session.collection(request.collection)
    found = kind_of(collection).stats(collection)
    is_auditor = Right.AUDIT in RIGHTS[session.principal.role] and session.principal.collections is None
    return server.Snapshot(statistics=found if is_auditor else replace(found, scrub=ScrubStatistics()))


def backup(session: Session, request: server.Backup) -> Iterator[Chunk]:
    """A backup; what is wrong is said before the first piece of it."""
    return _pieces(session, session.database.backup(signing_key=request.signing_key))


def backup_since(session: Session, request: server.BackupSince) -> Iterator[Chunk]:
    """What is new since an older backup."""
    since = request.since.encode()
    return _pieces(session, session.database.backup(signing_key=request.signing_key, since=since))


def _pieces(session: Session, stream: blockdb.Backup) -> Iterator[Chunk]:
    with stream:
        for data in stream:
            if session.call.is_cancelled() or session.service.is_stopping:
                raise Unavailable("The backup was broken off: the server is about to stop, or nobody takes it.")
            yield Chunk(data=data)


def audit(session: Session, request: Nothing) -> Iterator[server.Audited]:
    """An audit of the database, and how far it is."""
    return _audited(session, session.database.verify)


def audit_collection(session: Session, request: InCollection) -> Iterator[server.Audited]:
    """An audit of a collection, and how far it is."""
    collection = session.collection(request.collection)
    return _audited(session, partial(kind_of(collection).verify, collection))


Audit = Callable[[Callable[[Progress], None], Callable[[], bool]], Report]


def _audited(session: Session, run: Audit) -> Iterator[server.Audited]:
    """Run an audit in a thread, and tell now and then how far it is; the report comes last."""
    told: Queue[Progress | Report | BaseException] = Queue()
    is_over = False

    def cancelled() -> bool:
        return is_over or session.call.is_cancelled() or session.service.is_stopping

    def work() -> None:
        try:
            told.put(run(told.put, cancelled))
        except BaseException as error:  # it is raised where the answer is waited for
            told.put(error)

    thread = Thread(target=work, name="blockdb-audit", daemon=True)
    thread.start()
    latest: Progress | Report | BaseException | None = None
    try:
        while not isinstance(latest, (Report, BaseException)):
            latest = _latest(told)
            if isinstance(latest, BaseException):
                raise latest
            if isinstance(latest, Report):
                yield server.Audited(report=latest)
            else:
                yield server.Audited(progress=latest)
    finally:
        is_over = True
        thread.join()


def _latest(told: Queue[Progress | Report | BaseException]) -> Progress | Report | BaseException | None:
    """What was told last, after a while; at once where it is the end."""
    latest: Progress | Report | BaseException | None = None
    try:
        latest = told.get(timeout=PROGRESS_S)
        while isinstance(latest, Progress):
            latest = told.get_nowait()
    except Empty:
        pass
    return latest


def flush(session: Session, request: Nothing) -> Nothing:
    """Write everything in memory to tables."""
    session.database.flush()
    return Nothing()


def compact(session: Session, request: Nothing) -> Nothing:
    """Merge all tables."""
    session.database.compact()
    return Nothing()


def flush_collection(session: Session, request: InCollection) -> Nothing:
    """Write what a collection has in memory to tables."""
    collection = session.collection(request.collection)
    kind_of(collection).flush(collection)
    return Nothing()


def compact_collection(session: Session, request: InCollection) -> Nothing:
    """Merge the tables of a collection."""
    collection = session.collection(request.collection)
    kind_of(collection).compact(collection)
    return Nothing()
