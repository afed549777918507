"""What a schema means, written down as plainly as possible: path by path, from its JSON form alone."""

import re
from base64 import b64decode
from datetime import datetime
from typing import Any

from blockdb.documents.paths import EACH, Path

Parts = tuple[str | None, ...]


def violations(schema: dict[str, Any], document: Any) -> set[tuple[str, str]]:
    """Path and rule of all that is wrong."""
    fields = {Path.parse(name).parts: field for name, field in schema["fields"].items()}
    required = {Path.parse(name).parts for name in schema["required_fields"]}
    wrong: set[tuple[str, str]] = set()
    for parts, field in fields.items():
        for where, value in places(document, parts):
            wrong |= {(where, rule) for rule in broken(field, value)}
    for parts in {*fields, *required}:
        for length in range(1, len(parts)):
            if parts[:length] not in fields:
                kind: type = list if parts[length] is EACH else dict
                wrong |= {
                    (where, "Type") for where, value in places(document, parts[:length]) if type(value) is not kind
                }
    for parts in required:
        wrong |= missing(document, parts, fields, required)
    return wrong


def places(value: Any, parts: Parts, where: str = "") -> list[tuple[str, Any]]:
    """What is at a path, with the place of each."""
    if not parts:
        return [(where, value)]
    if parts[0] is EACH:
        members = enumerate(value) if isinstance(value, list) else []
        return [found for i, member in members for found in places(member, parts[1:], f"{where}[{i}]")]
    if not isinstance(value, dict) or parts[0] not in value:
        return []
    name = str(Path((parts[0],)))
    return places(value[parts[0]], parts[1:], f"{where}.{name}" if where else name)


def missing(document: Any, parts: Parts, fields: dict[Parts, Any], required: set[Parts]) -> set[tuple[str, str]]:
    start = max((place + 1 for place, part in enumerate(parts) if part is EACH), default=0)
    wrong = set()
    for where, value in places(document, parts[:start]):
        for length in range(start + 1, len(parts) + 1):
            if not isinstance(value, dict):
                break  # told as a violation of the type
            if parts[length - 1] in value:
                value = value[parts[length - 1]]
                continue
            named = (end for end in range(length, len(parts) + 1) if parts[:end] in fields or parts[:end] in required)
            if next(named) == len(parts):
                rest = str(Path(parts[start:]))
                wrong.add((f"{where}.{rest}" if where else rest, "Required"))
            break  # the first that is named may be missing with all that is in it, or tells so itself
    return wrong


def broken(field: dict[str, Any], value: Any) -> set[str]:
    if not is_of(field["field_type"], value):
        return {"Type"}
    names = set()
    for rule in field["validation_rules"]:
        ((name, limit),) = rule.items()
        if not holds(name, limit, field["field_type"], value):
            names.add(name)
    return names


def is_of(kind: str, value: Any) -> bool:
    match kind:
        case "String":
            return isinstance(value, str)
        case "Integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "Float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "Boolean":
            return isinstance(value, bool)
        case "Array":
            return isinstance(value, list)
        case "Object":
            return isinstance(value, dict)
        case "Binary":
            return (
                isinstance(value, str)
                and re.fullmatch(r"(?:[\w+/]{4})*(?:[\w+/]{2}(?:==|[\w+/]=))?", value, re.ASCII) is not None
            )
        case "Timestamp" if isinstance(value, str):
            shape = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
            return re.fullmatch(shape, value, re.ASCII) is not None and moment(value) is not None
        case "Timestamp":
            return (
                isinstance(value, int) and not isinstance(value, bool) and -62135596800000 <= value <= 253402300799999
            )
    raise AssertionError(kind)


def moment(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text.upper()).timestamp() * 1000
    except (ValueError, OverflowError):
        return None


def holds(name: str, limit: Any, kind: str, value: Any) -> bool:
    if name == "Pattern":
        return re.search(limit, value) is not None
    if name == "OneOf":
        return any(type(choice) is type(value) and choice == value for choice in limit) or (
            kind == "Float" and value in limit
        )
    if name.endswith("Length"):
        measured = len(b64decode(value)) if kind == "Binary" else len(value)
        return measured >= limit if name == "MinLength" else measured <= limit
    if kind == "Timestamp":
        value, limit = (moment(time) if isinstance(time, str) else time for time in (value, limit))
    return bool(value >= limit if name == "MinValue" else value <= limit)
