"""What the tests of this room stand on."""

import pytest

from blockdb.audit import collection


@pytest.fixture(autouse=True)
def small_databases_in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is small is audited record by record alone; these tests are about both halves of the audit."""
    monkeypatch.setattr(collection, "BULK_BYTES", 0)
