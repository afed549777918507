"""TOML with a checksum: manifests, metadata, registry, keys. Format page: docs/formats/checked-toml.md.

The last line is a comment, `# sha256 <hex>`, over all lines before it. People can read such a file with any tool;
whoever changes it by hand is told.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import tomli_w

from blockdb.format.frame import BadFrame


def encode(values: Mapping[str, Any]) -> bytes:
    """The bytes of a file with these values."""
    text = tomli_w.dumps(values).encode()
    return text + _last_line(text)


def decode(data: bytes) -> dict[str, Any]:
    """The values in the file. Raises BadFrame where the checksum does not match or the text is no TOML."""
    start = data.rstrip(b"\n").rfind(b"\n") + 1
    text = data[:start]
    if data[start:] != _last_line(text):
        raise BadFrame("its checksum does not match its contents")
    try:
        return tomllib.loads(text.decode())
    except ValueError as error:
        raise BadFrame(f"it is not TOML: {error}") from None


def _last_line(text: bytes) -> bytes:
    return b"# sha256 " + sha256(text).hexdigest().encode() + b"\n"
