"""Sealing blocks, and refusing every block that does not follow from what is before it."""

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockdb.format.block import GENESIS, Seal
from blockdb.ledger.chain import BlockRecords, Head, Sealer, check_seal, signed
from blockdb.ledger.merkle import Frontier, root_of
from blockdb.ledger.signature import Signer

COLLECTION = bytes(range(16))
SIGNER = Signer(bytes(32))
OTHER_SIGNER = Signer(b"\1" * 32)
KEYS = {SIGNER.key_id: SIGNER.public_key}
ABOUT = BlockRecords(data_bytes=10, first_time_ms=5, last_time_ms=6, first_place=48)

blocks_of_leaves = st.lists(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=9), max_size=6)


def leaves(count: int, of: str = "x") -> list[bytes]:
    return [sha256(f"{of}{number}".encode()).digest() for number in range(count)]


class Sealing:
    """Closes blocks and signs them."""

    def __init__(self, signer: Signer = SIGNER) -> None:
        self.signer = signer
        self.sealer = Sealer(COLLECTION, Head(), Frontier())

    def seal(self, block: list[bytes], about: BlockRecords = ABOUT) -> Seal:
        return signed(self.sealer.seal(block, about), self.signer)


@given(blocks_of_leaves)
def test_blocks_follow_from_each_other(blocks: list[list[bytes]]) -> None:
    sealing, head, sealed = Sealing(), Head(), list[bytes]()
    for number, block in enumerate(blocks):
        seal = sealing.seal(block)
        assert check_seal(seal, head, COLLECTION, KEYS) is None
        header = seal.header
        assert (header.number, header.first_sequence, header.records) == (number, len(sealed), len(block))
        assert header.previous_hash == head.previous_hash
        before = Frontier(len(sealed), seal.frontier)
        assert before.root() == root_of(sealed), "the seal brings what it takes to check its block alone"
        before.extend(block)
        sealed += block
        assert header.root == before.root() == root_of(sealed)
        head = head.after(header)
        assert sealing.sealer.head == head


def test_the_first_block_names_no_hash() -> None:
    assert Sealing().seal(leaves(1)).header.previous_hash == GENESIS == bytes(32)


def test_what_the_seal_tells_of_the_records_is_what_was_given() -> None:
    seal = Sealing().seal(leaves(3))
    assert (seal.header.data_bytes, seal.header.first_time_ms, seal.header.last_time_ms, seal.first_place) == (
        10,
        5,
        6,
        48,
    )


def test_the_hash_does_not_depend_on_who_seals_or_where() -> None:
    one = Sealing().seal(leaves(3))
    other = Sealing(OTHER_SIGNER).seal(leaves(3), BlockRecords(10, 5, 6, first_place=4711))
    assert one.header.hash() == other.header.hash()
    assert one.signature != other.signature


def two_blocks() -> tuple[Seal, Seal]:
    sealing = Sealing()
    return sealing.seal(leaves(3)), sealing.seal(leaves(4, "y"))


def test_a_block_of_another_collection_is_refused() -> None:
    first, _ = two_blocks()
    assert check_seal(first, Head(), bytes(16), KEYS) == "the block belongs to another collection"


def test_a_missing_doubled_or_reordered_block_is_refused() -> None:
    first, second = two_blocks()
    after_first = Head().after(first.header)
    assert check_seal(second, after_first, COLLECTION, KEYS) is None
    assert "number 1 where 0 should follow" in str(check_seal(second, Head(), COLLECTION, KEYS))
    assert "number 0 where 1 should follow" in str(check_seal(first, after_first, COLLECTION, KEYS))


def test_a_block_after_another_history_is_refused() -> None:
    _, second = two_blocks()
    other = Sealing().seal(leaves(3, "z"))
    wrong = check_seal(second, Head().after(other.header), COLLECTION, KEYS)
    assert str(wrong).startswith("Hash mismatch at block 1")


def test_a_block_that_nobody_signed_is_refused() -> None:
    unsigned = Sealer(COLLECTION, Head(), Frontier()).seal(leaves(3), ABOUT)
    assert str(check_seal(unsigned, Head(), COLLECTION, KEYS)).startswith("block 0 is signed with an unknown key")
    posing = unsigned._replace(key_id=SIGNER.key_id)
    assert "signature of block 0" in str(check_seal(posing, Head(), COLLECTION, KEYS))


def test_an_unknown_signer_is_refused_by_name() -> None:
    seal = Sealing(OTHER_SIGNER).seal(leaves(3))
    assert check_seal(seal, Head(), COLLECTION, KEYS) == (
        f"block 0 is signed with an unknown key {OTHER_SIGNER.key_id.hex()}"
    )
    assert check_seal(seal, Head(), COLLECTION, KEYS | {OTHER_SIGNER.key_id: OTHER_SIGNER.public_key}) is None


def test_a_stranger_who_takes_a_known_key_id_is_refused() -> None:
    seal = Sealing(OTHER_SIGNER).seal(leaves(3))._replace(key_id=SIGNER.key_id)
    assert check_seal(seal, Head(), COLLECTION, KEYS) == "the signature of block 0 does not match its hash"


@pytest.mark.parametrize(
    "change",
    [
        {"first_sequence": 1},
        {"records": 4},
        {"data_bytes": 11},
        {"first_time_ms": 4},
        {"last_time_ms": 7},
        {"root": bytes(32)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_header_no_longer_has_its_signature(change: dict[str, Any]) -> None:
    seal, _ = two_blocks()
    tampered = seal._replace(header=seal.header._replace(**change))
    assert check_seal(tampered, Head(), COLLECTION, KEYS) == "the signature of block 0 does not match its hash"


def test_a_signature_of_another_block_does_not_serve() -> None:
    first, second = two_blocks()
    tampered = first._replace(signature=second.signature)
    assert "signature of block 0" in str(check_seal(tampered, Head(), COLLECTION, KEYS))
