"""Auditing the log of transactions: what it has must be intact, as far as its mark vouches for it."""

from __future__ import annotations

from blockdb.audit.findings import Findings
from blockdb.format import mark as mark_format
from blockdb.format import sealed, transaction
from blockdb.format.frame import BadFrame
from blockdb.format.keyring import DataKeys
from blockdb.format.mark import Mark
from blockdb.format.sealed import Binding, Kind
from blockdb.format.walk import DamagedChain
from blockdb.layout import DatabaseFiles
from blockdb.machine import boot_id


def check_transactions(files: DatabaseFiles, findings: Findings, keys: DataKeys | None) -> None:
    """Check every decision. The mark is read first, since a writer tells it last. O(bytes)."""
    mark = _mark(files, findings)
    path = files.transactions
    try:
        data = path.read_bytes()
        if keys is not None:
            data = sealed.open_file(data, Binding(Kind.TRANSACTIONS), keys)
        base = transaction.decode_header(data).base
    except FileNotFoundError:
        return
    except OSError as error:
        findings.add(path, f"the file cannot be read: {error.strerror}")
        return
    except BadFrame as error:
        findings.add(path, str(error), offset=0)
        return
    if mark is not None and mark.written < base + transaction.HEADER_BYTES:
        mark = None  # it is that of the log before this one
    went_down = mark is not None and not mark.clean and not mark.is_of(boot_id())
    vouched = 0 if mark is None else (mark.forced if went_down else mark.written) - base
    try:
        for _ in transaction.walk(data, base):
            pass
    except DamagedChain as error:
        if error.offset < vouched or not (error.torn or went_down):
            findings.add(path, str(error), offset=error.offset)
            return
    if len(data) < vouched:
        findings.add(path, f"it was cut: it should have at least {vouched} bytes", offset=len(data))


def _mark(files: DatabaseFiles, findings: Findings) -> Mark | None:
    path = files.transactions_mark
    try:
        return mark_format.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        findings.add(path, f"the file cannot be read: {error.strerror}")
    except BadFrame as error:
        if files.transactions.exists():
            findings.add(path, str(error))
    return None
