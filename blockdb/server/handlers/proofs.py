"""Proofs, checkpoints, keys and anchors."""

from __future__ import annotations

from collections.abc import Iterator

from blockdb.server.service import Session
from blockdb.wire.messages import proofs, records
from blockdb.wire.operation import Nothing


def prove(session: Session, request: records.ByKey) -> proofs.Receipt:
    """A receipt for a record."""
    return proofs.Receipt(receipt=session.collection(request.collection).prove(request.key).text)


def prove_absent(session: Session, request: records.ByKey) -> proofs.Receipt:
    """A receipt that a key is not stored."""
    return proofs.Receipt(receipt=session.collection(request.collection).prove_absent(request.key).text)


def prove_range(session: Session, request: records.Range) -> proofs.Receipt:
    """A receipt for all records of a range."""
    receipt = session.collection(request.collection).prove_range(
        prefix=request.prefix, start=request.start, end=request.end
    )
    return proofs.Receipt(receipt=receipt.text)


def prove_run(session: Session, request: proofs.Run) -> proofs.Receipt:
    """A receipt for records that stand one after the other."""
    return proofs.Receipt(receipt=session.collection(request.collection).prove_run(request.first, request.count).text)


def checkpoint(session: Session, request: records.InCollection) -> proofs.Note:
    """A signed checkpoint of a collection."""
    return proofs.Note(checkpoint=session.database.checkpoint(request.collection))


def database_checkpoint(session: Session, request: Nothing) -> proofs.Note:
    """A signed checkpoint of the database."""
    return proofs.Note(checkpoint=session.database.checkpoint())


def consistency(session: Session, request: proofs.Growth) -> proofs.Consistency:
    """That a tree begins with a smaller one."""
    hashes = session.database.consistency_proof(request.old_size, request.size, request.collection)
    return proofs.Consistency(hashes=list(hashes))


def database_consistency(session: Session, request: proofs.DatabaseGrowth) -> proofs.Consistency:
    """That the journal's tree begins with a smaller one."""
    return proofs.Consistency(hashes=list(session.database.consistency_proof(request.old_size, request.size)))


def root(session: Session, request: proofs.BySize) -> proofs.Root:
    """The root of a tree."""
    return proofs.Root(root=session.database.root_at(request.size, request.collection))


def database_root(session: Session, request: proofs.DatabaseSize) -> proofs.Root:
    """The root of the journal's tree."""
    return proofs.Root(root=session.database.root_at(request.size))


def tile(session: Session, request: proofs.ByTile) -> Iterator[proofs.Chunk]:
    """A tile, or the checkpoint."""
    collection = session.collection(request.collection)
    is_note = request.path == "checkpoint"
    data = session.database.checkpoint(request.collection).encode() if is_note else collection.tile(request.path)
    return iter([proofs.Chunk(data=data)])


def keys(session: Session, request: Nothing) -> proofs.Keys:
    """The keys that sign."""
    database = session.database
    return proofs.Keys(
        verifier_key=database.verifier_key(), earlier=list(database.earlier_keys()), public_key=database.public_key
    )


def rotate_key(session: Session, request: Nothing) -> proofs.Keys:
    """Have a new key sign."""
    session.database.rotate_key()
    return keys(session, request)


def anchors(session: Session, request: Nothing) -> proofs.Anchors:
    """What remembers the checkpoints."""
    return proofs.Anchors(anchors=list(session.database.anchors()))


def publish(session: Session, request: Nothing) -> proofs.Published:
    """Give a checkpoint to all anchors."""
    done = session.database.publish()
    return proofs.Published(checkpoint=done.note, failures=dict(done.failures))


def check_anchors(session: Session, request: Nothing) -> proofs.Problems:
    """Hold the history against its anchors."""
    return proofs.Problems(problems=list(session.database.check_anchors()))
