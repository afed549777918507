"""Cosignatures (C2SP `tlog-cosignature`, version 1): a witness says when it saw a checkpoint to be consistent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Final

from nacl.signing import SigningKey

from blockdb.ledger.note import COSIGNATURE, SIGNATURE_BYTES, Signature, VerifierKey

_DATA: Final = Struct(f">Q{SIGNATURE_BYTES}s")


def cosigned_text(time_s: int, text: str) -> bytes:
    """What a witness signs: when (Unix time in seconds), and the checkpoint's text."""
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()


class Cosigner:
    """A witness's key: made from 32 secret bytes, under the witness's name."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = SigningKey(seed)
        self.key = VerifierKey(name, bytes(self._key.verify_key), COSIGNATURE)

    def cosign(self, text: str, time_s: int) -> Signature:
        """The signature over a checkpoint's text."""
        signed = self._key.sign(cosigned_text(time_s, text)).signature
        return Signature(self.key.name, self.key.key_id, _DATA.pack(time_s, signed))


@dataclass(frozen=True)
class Seen:
    """A witness saw a checkpoint at a time (Unix, in seconds)."""

    witness: VerifierKey
    time_s: int


def seen_by(text: str, signatures: Iterable[Signature], witnesses: Iterable[VerifierKey]) -> list[Seen]:
    """Which of the witnesses cosigned a checkpoint's text. A cosignature that does not match counts for nothing."""
    found: list[Seen] = []
    for witness in witnesses:
        for signature in signatures:
            if (signature.name, signature.key_id) != (witness.name, witness.key_id):
                continue
            if len(signature.data) != _DATA.size:
                continue
            time_s, signed = _DATA.unpack(signature.data)
            if witness.is_signed(cosigned_text(time_s, text), signed):
                found.append(Seen(witness, time_s))
                break
    return found
