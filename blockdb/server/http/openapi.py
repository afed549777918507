"""The description of the interface, OpenAPI 3.1, made from the table of operations.

Schemas are those of the twins (`blockdb.wire.text`), which is what requests are held against.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final, get_type_hints

import msgspec

import blockdb
from blockdb.security.roles import RIGHTS
from blockdb.wire.failures import STATUSES
from blockdb.wire.operation import Kind, Nothing, Operation
from blockdb.wire.table import OPERATIONS
from blockdb.wire.text import ENCODINGS, twin

__all__ = ["description", "document"]

REFERENCES: Final = "#/components/schemas/{name}"
COMMON_ERRORS: Final = (
    "Forbidden", "InvalidData", "RateLimited", "RequestTimeout", "RequestTooLarge", "Unauthenticated", "Unavailable",
    "Internal",
)  # fmt: skip
"""What any operation may answer with."""
COLLECTION_ERRORS: Final = ("CollectionNotFound",)

Json = dict[str, Any]


@cache
def description() -> bytes:
    """The document, as JSON."""
    return msgspec.json.encode(document())


def document() -> Json:
    """The description of all operations."""
    components = _components()
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "BlockDB",
            "version": blockdb.__version__,
            "summary": "An append-only database whose every record can be proven to be what was written.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(map(_tag, OPERATIONS))],
        "paths": paths,
        "components": {
            "schemas": {**_ordered(components), "Error": _error_schema()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _ordered(components: Json) -> Json:
    return {name: components[name] for name in sorted(components)}


@cache
def _names() -> dict[type, str]:
    """The twins by their names, which are different for different ones."""
    found: dict[type, str] = {}
    for operation in OPERATIONS:
        found[_answer_twin(operation)] = operation.answer.__name__
        body = _body_twin(operation)
        if body is not None:
            found[body] = _body_name(operation)
    return found


def _body_name(operation: Operation) -> str:
    return "".join(part.capitalize() for part in operation.name.split("_")) + "Body"


def _answer_twin(operation: Operation) -> type[msgspec.Struct]:
    return twin(operation.answer)


def _body_twin(operation: Operation) -> type[msgspec.Struct] | None:
    """What stands in the body; None where nothing does."""
    if not operation.has_body or operation.kind is Kind.REQUESTS:
        return None
    found = twin(operation.request, frozenset(operation.parameters), _body_name(operation))
    return found if found.__struct_fields__ else None


def _components() -> Json:
    _, components = msgspec.json.schema_components(list(_names()), ref_template=REFERENCES)
    return components


def _described(operation: Operation, components: Json) -> Json:
    found: Json = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [_tag(operation)],
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": {str(operation.status): _answer(operation, components), **_errors(operation)},
    }
    if operation.right is None:
        found["security"] = []
    else:
        roles = ", ".join(role.value for role, rights in RIGHTS.items() if operation.right in rights)
        found["description"] = f"It takes the right to {operation.right.value}, which is what {roles} may."
    body = _body_twin(operation)
    if operation.kind is Kind.REQUESTS:
        lines = {"schema": {"type": "string"}, "example": '{"key": "a", "value": "1"}\n'}
        found["requestBody"] = {"required": True, "content": {"application/x-ndjson": lines}}
    elif body is not None:
        required = components[_body_name(operation)].get("required", [])
        content = {"application/json": {"schema": {"$ref": REFERENCES.format(name=_body_name(operation))}}}
        found["requestBody"] = {"required": bool(required), "content": content}
    return found


def _tag(operation: Operation) -> str:
    parts = [part for part in operation.path.split("/") if part and not part.startswith("{")]
    return parts[2] if parts[:2] == ["api", "v1"] else parts[0] if parts[0] == "cluster" else "system"


# ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────────


def _path_parameters(operation: Operation) -> Iterable[Json]:
    for name in operation.parameters:
        yield {"name": name, "in": "path", "required": True, "schema": _schema_of(operation, name, is_path=True)}


def _query_parameters(operation: Operation) -> Iterable[Json]:
    if not operation.has_body:
        for field in msgspec.structs.fields(operation.request):
            if field.name not in operation.parameters:
                schema = _schema_of(operation, field.name)
                required = field.default is msgspec.NODEFAULT
                if field.default not in (msgspec.NODEFAULT, None):
                    schema = {**schema, "default": field.default}
                yield {"name": field.name, "in": "query", "required": required, "schema": schema}
    if operation.kind is Kind.REQUESTS:
        for name in ("skip_duplicates", "batch_size"):
            yield {"name": name, "in": "query", "schema": _schema_of(operation, name)}
    if operation.answer is not Nothing and operation.kind is not Kind.BYTES:
        words = "How keys and values are written in the answer; without it, as text where they are text."
        yield {"name": "encoding", "in": "query", "schema": {"enum": list(ENCODINGS)}, "description": words}


def _schema_of(operation: Operation, name: str, *, is_path: bool = False) -> Json:
    hint = get_type_hints(operation.request)[name]
    if hint in (bytes, bytes | None, str, str | None, list[str] | None):
        return {"type": "string", "minLength": 1} if is_path else {"type": "string"}
    schema = msgspec.json.schema(hint)
    kinds: list[Json] = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    return kinds[0]


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _answer(operation: Operation, components: Json) -> Json:
    if operation.kind is Kind.BYTES:
        return {"description": "The bytes.", "content": {"application/octet-stream": {}}}
    if operation.kind is Kind.ANSWERS:
        events = {"schema": {"type": "string"}}
        content: Json = {"application/x-ndjson": events, "text/event-stream": events}
        return {"description": "Answers as they come.", "content": content}
    content = {"application/json": {"schema": _answer_schema(operation, components)}}
    if operation.name == "metrics":
        content["text/plain"] = {"schema": {"type": "string"}}
    return {"description": "It was done.", "content": content}


def _answer_schema(operation: Operation, components: Json) -> Json:
    """The answer's own, with `success` before its fields: schemas are closed, so that they cannot be put together."""
    name = operation.answer.__name__
    if operation.is_plain:
        return {"$ref": REFERENCES.format(name=name)}
    schema: Json = components[name]
    properties = {"success": {"const": True}, **schema["properties"]}
    return {**schema, "properties": properties, "required": ["success", *schema["required"]]}


def _errors(operation: Operation) -> Json:
    kinds = [*operation.errors, *COMMON_ERRORS]
    if any(name == "collection" for name in operation.request.__struct_fields__):
        kinds += COLLECTION_ERRORS
    by_status: dict[str, set[str]] = {}
    for kind in kinds:
        by_status.setdefault(str(int(STATUSES.get(kind, 500))), set()).add(kind)
    content = {"application/json": {"schema": {"$ref": REFERENCES.format(name="Error")}}}
    return {
        status: {"description": f"{', '.join(sorted(names))}.", "content": content}
        for status, names in sorted(by_status.items())
    }


def _error_schema() -> Json:
    return {
        "type": "object",
        "properties": {
            "success": {"const": False},
            "error": {"type": "string", "description": "The kind of error."},
            "message": {"type": "string", "description": "What happened, and what to do."},
        },
        "required": ["success", "error", "message"],
        "additionalProperties": False,
    }
