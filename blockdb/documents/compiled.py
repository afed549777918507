"""A schema's tree as Python functions, one for each Object and Array: the quick way to say that a document is valid.

The functions are written as source text and compiled once. Nothing of a schema stands in that text: names, limits and
patterns are constants of the functions' namespace (`c0`, `c1`, ...). What they accept is what `Node.violations` finds
nothing wrong with, and `Node.fill` nothing missing in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from blockdb.documents.kinds import TESTS, FieldType
from blockdb.documents.paths import MISSING, Value
from blockdb.documents.patterns import SHORT, Pattern
from blockdb.documents.rules import Rule, RuleName, tester
from blockdb.documents.tree import Node
from blockdb.documents.values import Document

__all__ = ["compile_tree"]

_WRONG_TYPE: Final = {
    FieldType.STRING: "type(v) is not str",
    FieldType.INTEGER: "type(v) is not int",
    FieldType.FLOAT: "type(v) is not float and type(v) is not int",
    FieldType.BOOLEAN: "type(v) is not bool",
    FieldType.ARRAY: "type(v) is not list",
    FieldType.OBJECT: "type(v) is not dict",
}
_BROKEN: Final = {
    RuleName.MIN_LENGTH: "len(v) < {limit}",
    RuleName.MAX_LENGTH: "len(v) > {limit}",
    RuleName.MIN_VALUE: "v < {limit}",
    RuleName.MAX_VALUE: "v > {limit}",
    RuleName.ONE_OF: "v not in {limit}",
}


def compile_tree(root: Node) -> Callable[[Document], bool]:
    """A function of a document: whether it is valid, and has all defaults that it could have."""
    writer = _Writer()
    name = writer.members(root)
    exec(compile("\n".join(writer.lines), "<schema>", "exec"), writer.namespace)
    accepts: Callable[[Document], bool] = writer.namespace[name]
    return accepts


class _Writer:
    """Collects the functions' source and their constants."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.namespace: dict[str, Any] = {}

    def members(self, node: Node) -> str:
        """Writes the function that looks at the members of an Object; its name."""
        body = [line for name, child in node.members.items() for line in self._member(name, child)]
        body = [f"    {line}" for line in body]
        return self._function(["try:", *body, "    pass", "except KeyError:", "    return False"])

    def each(self, member: Node) -> str:
        """Writes the function that looks at each member of an Array; its name."""
        return self._function(["for v in o:", f"    if {self._wrong(member)}: return False"])

    def _member(self, name: str, child: Node) -> list[str]:
        key, wrong = self._constant(name), self._wrong(child)
        if child.demanded or child.default is not MISSING:
            return [f"v = o[{key}]", f"if {wrong}: return False"]
        return [f"if {key} in o:", f"    v = o[{key}]", f"    if {wrong}: return False"]

    def _wrong(self, node: Node) -> str:
        """What is true of a value `v` that is not as the node says."""
        if node.kind is None:
            return "False"
        kind = node.kind
        wrong = [_WRONG_TYPE[kind] if kind in _WRONG_TYPE else f"not {self._constant(TESTS[kind])}(v)"]
        wrong += [self._broken(rule, kind) for rule in node.rules]
        if node.members:
            wrong.append(f"not {self.members(node)}(v)")
        if node.each is not None and node.each.kind is not None:
            wrong.append(f"not {self.each(node.each)}(v)")
        return " or ".join(wrong)

    def _broken(self, rule: Rule, kind: FieldType) -> str:
        if kind in (FieldType.BINARY, FieldType.TIMESTAMP) and rule.name is not RuleName.ONE_OF:
            return f"{self._constant(tester(rule, kind))}(v) is not None"
        if rule.name is RuleName.PATTERN:
            return self._unmatched(Pattern(rule.value))
        limit: Value = frozenset(rule.value) if rule.name is RuleName.ONE_OF else rule.value
        return _BROKEN[rule.name].format(limit=self._constant(limit))

    def _unmatched(self, pattern: Pattern) -> str:
        if pattern.short is None:
            return f"not ({self._constant(pattern.long)}(v.encode()) or {self._constant(pattern.search)}(v))"
        short, search = self._constant(pattern.short), self._constant(pattern.search)
        return f"not ({short}(v) if len(v) <= {SHORT} else {search}(v))"

    def _constant(self, value: object) -> str:
        name = f"c{len(self.namespace)}"
        self.namespace[name] = value
        return name

    def _function(self, body: list[str]) -> str:
        name = f"f{len(self.lines)}"
        self.lines += [f"def {name}(o):", *(f"    {line}" for line in body), "    return True"]
        return name
