"""Checking documents: quickly whether all is well, and if not, exactly what is not."""

from __future__ import annotations

from itertools import islice
from typing import Final

from blockdb.documents.compiled import compile_tree
from blockdb.documents.tree import Node
from blockdb.documents.values import Document
from blockdb.errors import ValidationError, Violation

__all__ = ["MAX_VIOLATIONS", "Validator"]

MAX_VIOLATIONS: Final = 1000
"""So many violations of one document are told at most."""


class Validator:
    """Checks documents against one schema. Documents are what `parse` or `plain` returned and `encode` takes."""

    __slots__ = ("_tree", "accepts")

    def __init__(self, tree: Node) -> None:
        self._tree = tree
        self.accepts = compile_tree(tree)
        """Whether a document is valid and no default is missing in it: the quick way, O(n)."""

    def check(self, document: Document) -> tuple[Violation, ...]:
        """All that is wrong with the document, in the order of the schema; the first `MAX_VIOLATIONS` of it. O(n)."""
        return tuple(islice(self._tree.violations(document), MAX_VIOLATIONS))

    def fill(self, document: Document) -> bool:
        """Puts defaults into the document where fields are missing; whether there were any. O(n).

        A default goes into an object that is there, or that has a default itself.
        """
        return self._tree.fill(document)

    def demand(self, document: Document) -> None:
        """Raises ValidationError with all that is wrong with the document, if anything is. O(n)."""
        if violations := self.check(document):
            raise ValidationError(violations)
