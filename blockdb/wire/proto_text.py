"""Messages and methods as the text of a `.proto` file, for whoever makes stubs of it in whichever language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from blockdb.wire.protobuf import (
    Boxed,
    Choice,
    EnumType,
    Field,
    Fixed,
    Json,
    Listed,
    Mapped,
    MessageType,
    Method,
    OneOf,
    Reference,
    Scalar,
    Shape,
    Vocabulary,
)

__all__ = ["proto_text"]


def proto_text(
    package: str, service: str, doc: str, methods: Iterable[Method], vocabulary: Vocabulary, head: Sequence[str] = ()
) -> str:
    """A whole file: the lines of `head` as a comment, a service of this name, its methods, messages and enums."""
    lines = [
        *_comment("\n".join(head)),
        'syntax = "proto3";',
        "",
        f"package {package};",
        "",
        'import "google/protobuf/struct.proto";',
        "",
        *_comment(doc),
        f"service {service} {{",
        *_indented(line for method in methods for line in _method(method, package)),
        "}",
    ]
    for message in vocabulary.messages.values():
        if "." not in message.name:
            lines += ["", *_message(message, vocabulary)]
    for enum in vocabulary.enums.values():
        if "." not in enum.name:
            lines += ["", *_enum(enum)]
    return "\n".join(lines) + "\n"


def _method(method: Method, package: str) -> Iterator[str]:
    # A method hides the message of its name, unless that is named in full.
    request = f"{'stream ' * method.has_requests}.{package}.{method.request}"
    answer = f"{'stream ' * method.has_answers}.{package}.{method.answer}"
    yield from _comment(method.doc)
    yield f"rpc {method.name}({request}) returns ({answer});"


def _message(message: MessageType, vocabulary: Vocabulary) -> Iterator[str]:
    yield from _comment(message.doc)
    if not message.fields:
        yield f"message {_last(message.name)} {{}}"
        return
    yield f"message {_last(message.name)} {{"
    yield from _indented(_inside(message, vocabulary))
    yield "}"


def _inside(message: MessageType, vocabulary: Vocabulary) -> Iterator[str]:
    for enum in vocabulary.enums.values():
        if _is_inside(enum.name, message.name):
            yield from _enum(enum)
    for inner in vocabulary.messages.values():
        if _is_inside(inner.name, message.name):
            yield from _message(inner, vocabulary)
    fields = [f"{_field(field)};" for field in message.fields]
    yield from ["oneof kind {", *_indented(fields), "}"] if message.is_oneof else fields


def _field(field: Field) -> str:
    return f"{'optional ' * field.has_presence}{_type(field.shape)} {field.name} = {field.number}"


def _type(shape: Shape) -> str:
    match shape:
        case Scalar(name) | Choice(name) | Reference(name) | Boxed(name) | OneOf(name) | Fixed(name):
            return name
        case Listed(item):
            return f"repeated {_type(item)}"
        case Mapped(item):
            return f"map<string, {_type(item)}>"
        case Json(is_object):
            return "google.protobuf.Struct" if is_object else "google.protobuf.Value"


def _enum(enum: EnumType) -> Iterator[str]:
    yield from _comment(enum.doc)
    yield f"enum {_last(enum.name)} {{"
    yield f"  {enum.unspecified} = 0;"
    yield from (f"  {name} = {number};" for number, (name, _value) in enumerate(enum.values, 1))
    yield "}"


def _comment(words: str) -> Iterator[str]:
    return (f"// {line}".rstrip() for line in words.splitlines())


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" if line else "" for line in lines)


def _is_inside(name: str, outer: str) -> bool:
    return name.rpartition(".")[0] == outer


def _last(name: str) -> str:
    return name.rpartition(".")[2]
