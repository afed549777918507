"""Messages and methods as Protocol Buffers knows them at run time: no generated code is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf import descriptor_pool, struct_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)

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
    camel,
)

__all__ = ["file_descriptor", "pool_of"]

_SCALARS: Final = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "string": FieldDescriptorProto.TYPE_STRING,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
}


def file_descriptor(
    path: str, package: str, service: str, methods: Iterable[Method], vocabulary: Vocabulary
) -> FileDescriptorProto:
    """What protoc makes of the same things as a text (`blockdb.wire.proto_text`)."""
    file = FileDescriptorProto(
        name=path, package=package, syntax="proto3", dependency=[struct_pb2.DESCRIPTOR.name], service=[]
    )
    file.service.append(_service(service, package, methods))
    made: dict[str, DescriptorProto] = {}
    for message in vocabulary.messages.values():
        outer, _, name = message.name.rpartition(".")
        place = made[outer].nested_type if outer else file.message_type
        made[message.name] = place.add(name=name)
    for message in vocabulary.messages.values():
        _fill(made[message.name], message, package)
    for enum in vocabulary.enums.values():
        outer, _, name = enum.name.rpartition(".")
        (made[outer].enum_type if outer else file.enum_type).append(_enum(name, enum))
    return file


def pool_of(*files: FileDescriptorProto) -> Any:
    """A pool of its own with these files, so that nothing else in the process can be in their way."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    for file in files:
        pool.Add(file)
    return pool


def _service(name: str, package: str, methods: Iterable[Method]) -> ServiceDescriptorProto:
    service = ServiceDescriptorProto(name=name)
    for method in methods:
        told = service.method.add(
            name=method.name, input_type=f".{package}.{method.request}", output_type=f".{package}.{method.answer}"
        )
        if method.has_requests:
            told.client_streaming = True
        if method.has_answers:
            told.server_streaming = True
    return service


def _enum(name: str, enum: EnumType) -> EnumDescriptorProto:
    made = EnumDescriptorProto(name=name)
    for number, value in enumerate([enum.unspecified, *(name for name, _value in enum.values)]):
        made.value.add(name=value, number=number)
    return made


def _fill(made: DescriptorProto, message: MessageType, package: str) -> None:
    """Fields, and what goes with them: an entry for a map, a `oneof` of its own for what is optional."""
    if message.is_oneof:
        made.oneof_decl.add(name="kind")
    for field in message.fields:
        told = made.field.add(name=field.name, number=field.number, json_name=_json_name(field.name))
        told.label = FieldDescriptorProto.LABEL_OPTIONAL
        if isinstance(field.shape, Listed | Mapped):
            told.label = FieldDescriptorProto.LABEL_REPEATED
        _type(told, field.shape, package)
        if isinstance(field.shape, Mapped):
            told.type_name = f".{package}.{message.name}.{_entry(made, field, field.shape, package)}"
            told.type = FieldDescriptorProto.TYPE_MESSAGE
        elif message.is_oneof:
            told.oneof_index = 0
        elif field.has_presence:
            told.proto3_optional = True
    for told in made.field:
        if told.proto3_optional:
            told.oneof_index = len(made.oneof_decl)
            made.oneof_decl.add(name=f"_{told.name}")


def _entry(made: DescriptorProto, field: Field, shape: Mapped, package: str) -> str:
    entry = made.nested_type.add(name=f"{camel(field.name)}Entry")
    entry.options.map_entry = True
    for number, (name, part) in enumerate((("key", Scalar("string")), ("value", shape.item)), 1):
        told = entry.field.add(name=name, number=number, json_name=name)
        told.label = FieldDescriptorProto.LABEL_OPTIONAL
        _type(told, part, package)
    return str(entry.name)


def _type(told: FieldDescriptorProto, shape: Shape, package: str) -> None:
    match shape:
        case Scalar(name):
            told.type = _SCALARS[name]
        case Json(is_object):
            told.type = FieldDescriptorProto.TYPE_MESSAGE
            told.type_name = f".google.protobuf.{'Struct' if is_object else 'Value'}"
        case Choice(name):
            told.type = FieldDescriptorProto.TYPE_ENUM
            told.type_name = f".{package}.{name}"
        case Reference(name) | Boxed(name) | OneOf(name) | Fixed(name):
            told.type = FieldDescriptorProto.TYPE_MESSAGE
            told.type_name = f".{package}.{name}"
        case Listed(item):
            _type(told, item, package)
        case Mapped():
            pass  # the message of its entries


def _json_name(name: str) -> str:
    """`time_ms` as `timeMs`, as protoc does it."""
    first, *others = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)
