"""What the tests of this room stand on: damage is to be found by both halves of the audit."""

import pytest

from blockdb.audit import collection


@pytest.fixture(autouse=True)
def small_databases_in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is small is audited record by record alone."""
    monkeypatch.setattr(collection, "BULK_BYTES", 0)
