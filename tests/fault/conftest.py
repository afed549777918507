"""What the tests of this room stand on: damage is to be found by both halves of the audit."""

import pickle
import tomllib
from collections.abc import Iterator
from functools import lru_cache

import pytest
from nacl.signing import VerifyKey

from blockdb.audit import collection


@pytest.fixture(autouse=True)
def small_databases_in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is small is audited record by record alone."""
    monkeypatch.setattr(collection, "BULK_BYTES", 0)


@pytest.fixture(scope="module", autouse=True)
def worked_out_once() -> Iterator[None]:
    """What the files that nobody touched hold is read once, not thousands of times: a quarter of what this costs.

    Only where the same bytes cannot but give the same: a text of TOML, and a signature that is good.
    """
    read, verify = tomllib.loads, VerifyKey.verify
    dumped = lru_cache(4096)(lambda text: pickle.dumps(read(text)))
    verified = lru_cache(4096)(lambda key, message, signature: verify(VerifyKey(key), message, signature))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tomllib, "loads", lambda text: pickle.loads(dumped(text)))
        patch.setattr(VerifyKey, "verify", lambda self, *signed: verified(bytes(self), *signed))
        yield
