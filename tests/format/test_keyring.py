"""The keyring: data keys come out with the master key that wrapped them, and with no other."""

from typing import Any

import pytest

from blockdb.format import keyring
from blockdb.format.frame import BadFrame
from blockdb.format.keyring import Argon2, DataKeys

KEYS = DataKeys([(b"12345678", bytes(32)), (b"abcdefgh", b"k" * 32)], b"abcdefgh")
MASTER = b"m" * 32
NONCES = [bytes(24), b"n" * 24]
QUICK = Argon2(bytes(16), 1, 8192)


def test_keys_are_wrapped_and_unwrapped() -> None:
    values = keyring.wrap(KEYS, MASTER, None, NONCES)
    found = keyring.unwrap(values, MASTER)
    assert (found, found.current) == (KEYS, KEYS.current)
    assert bytes(32).hex() not in str(values)
    assert (b"k" * 32).hex() not in str(values)
    assert keyring.wrapping_of(values) == (keyring.master_id(MASTER), None)


def test_a_passphrase_is_made_a_key() -> None:
    master = QUICK.key(b"a long sentence")
    assert len(master) == 32
    assert master != QUICK.key(b"a long sentencf") != QUICK._replace(salt=b"s" * 16).key(b"a long sentence")
    wrapping = keyring.wrapping_of(keyring.wrap(KEYS, master, QUICK, NONCES))
    assert (wrapping.argon2, wrapping.kind) == (QUICK, keyring.PASSPHRASE)


def test_what_processes_are_handed_is_complete() -> None:
    found = DataKeys.decode(KEYS.encode())
    assert (found, found.current) == (KEYS, KEYS.current)


def test_keys_are_not_shown() -> None:
    assert repr(KEYS) == str(KEYS) == "<2 data keys>"


def changed(**others: Any) -> dict[str, Any]:
    return {**keyring.wrap(KEYS, MASTER, None, NONCES), **others}


@pytest.mark.parametrize(
    "values",
    [
        {},
        changed(current="zz"),
        changed(current=b"12345678".hex()),
        changed(current=b"notthere".hex()),
        changed(keys={b"12345678".hex(): "00"}),
        changed(keys={}),
        changed(keys=5),
    ],
    ids=str,
)
def test_what_is_no_keyring_of_ours_does_not_open(values: dict[str, Any]) -> None:
    with pytest.raises(BadFrame):
        keyring.unwrap(values, MASTER)


def test_keys_do_not_open_under_another_name_or_master_key() -> None:
    values = keyring.wrap(KEYS, MASTER, None, NONCES)
    one, other = values["keys"].values()
    exchanged = changed(keys={b"12345678".hex(): other, b"abcdefgh".hex(): one})
    for found, master in ((exchanged, MASTER), (values, b"x" * 32)):
        with pytest.raises(BadFrame, match="does not open"):
            keyring.unwrap(found, master)


@pytest.mark.parametrize(
    "argon2id",
    [
        {},
        {"salt": "zz", "operations": 1, "memory_bytes": 8192},
        {"salt": "00" * 16, "operations": 1, "memory_bytes": 1 << 40},
        {"salt": "00" * 16, "operations": 1_000_000, "memory_bytes": 8192},
    ],
)
def test_a_hostile_keyring_is_refused(argon2id: dict[str, Any]) -> None:
    with pytest.raises(BadFrame):
        keyring.wrapping_of(changed(master=keyring.PASSPHRASE, argon2id=argon2id))
