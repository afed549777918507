from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import VerifyKey

from blockdb.ledger.signature import Signer, is_signed, key_id_of

SIGNER = Signer(bytes(range(32)))
HASH = sha256(b"a block").digest()

hashes = st.binary(min_size=32, max_size=32)


def test_a_key_is_a_function_of_its_seed() -> None:
    """RFC 8032: the public key of the seed 000102…1f."""
    assert SIGNER.public_key.hex() == "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    assert SIGNER.key_id == key_id_of(SIGNER.public_key) == sha256(SIGNER.public_key).digest()[:8]


def test_anyone_can_check_it_with_any_ed25519_library() -> None:
    assert VerifyKey(SIGNER.public_key).verify(b"BlockDB block signature 1\n" + HASH, SIGNER.sign(HASH))


@given(hashes, hashes)
def test_a_signature_is_of_one_hash(block_hash: bytes, other: bytes) -> None:
    signature = SIGNER.sign(block_hash)
    assert signature == SIGNER.sign(block_hash), "Ed25519 signs deterministically"
    assert is_signed(SIGNER.public_key, block_hash, signature)
    assert is_signed(SIGNER.public_key, other, signature) == (block_hash == other)


def test_a_signature_with_any_bit_changed_is_none() -> None:
    signature = SIGNER.sign(HASH)
    for bit in range(8 * len(signature)):
        damaged = bytearray(signature)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not is_signed(SIGNER.public_key, HASH, bytes(damaged))


def test_a_signature_is_of_one_key() -> None:
    assert not is_signed(Signer(bytes(32)).public_key, HASH, SIGNER.sign(HASH))


def test_a_signature_over_the_bare_hash_does_not_count() -> None:
    from nacl.signing import SigningKey

    bare = SigningKey(bytes(range(32))).sign(HASH).signature
    assert not is_signed(SIGNER.public_key, HASH, bare)


def test_what_is_no_signature_or_no_key_is_refused_without_an_error() -> None:
    assert not is_signed(SIGNER.public_key, HASH, b"")
    assert not is_signed(SIGNER.public_key, HASH, bytes(65))
    assert not is_signed(b"short", HASH, SIGNER.sign(HASH))
    assert not is_signed(b"\xff" * 32, HASH, SIGNER.sign(HASH))
