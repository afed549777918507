"""Documents on their way into a collection: parsed, completed with defaults, held against the schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blockdb.documents.schema import Schema
from blockdb.documents.validator import Validator
from blockdb.documents.values import Document, encode, parse, plain
from blockdb.errors import InvalidData, ValidationError
from blockdb.format.checks import check_key, check_value
from blockdb.storage.metadata import SchemaEntry
from blockdb.storage.reader import Reader

Given = bytes | Mapping[str, Any]
"""A value as a caller gives it: bytes, or a document."""


class Rules:
    """The schema of a collection as it was at some moment."""

    __slots__ = ("entries", "schema", "validator")

    def __init__(self, entries: tuple[SchemaEntry, ...]) -> None:
        self.entries = entries
        self.schema: Schema | None = Schema.from_json(entries[-1].schema) if entries else None
        self.validator: Validator | None = self.schema.validator() if self.schema else None


class Documents:
    """What becomes of the values that one collection is given. Safe for threads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._rules = Rules(())

    @property
    def rules(self) -> Rules:
        """The schema as it is now."""
        rules, entries = self._rules, self._reader.metadata.schemas
        if rules.entries is not entries:
            self._rules = rules = Rules(entries)
        return rules

    def admit(self, key: bytes, given: Given, rules: Rules) -> tuple[bytes, Document]:
        """The bytes to store, and the document that they are.

        Bytes are stored as they were given, unless defaults were filled in. Raises InvalidData, ValidationError.
        """
        check_key(key)
        try:
            return self._admitted(given, rules.validator)
        except ValidationError as error:
            raise ValidationError(error.violations, key) from None
        except InvalidData as error:
            shown = key.decode("utf-8", "backslashreplace")
            raise InvalidData(f"The value of key '{shown}' cannot be stored. {error}") from None

    def _admitted(self, given: Given, validator: Validator | None) -> tuple[bytes, Document]:
        if type(given) is not bytes and isinstance(given, Mapping):
            document = plain(given)
            raw = encode(document)
        else:
            raw = check_value(given, self._reader.metadata.settings.max_document_size)
            document = parse(raw)
        if validator is not None and not validator.accepts(document):
            if isinstance(given, Mapping):
                document = parse(raw)  # the caller's own is not changed
            if validator.fill(document):
                raw = encode(document)
            validator.demand(document)
        return raw, document
