"""Structs described as Protocol Buffers: the same in text, as protoc reads it, and as descriptors at run time."""

from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc
from msgspec import Struct

from blockdb.server.grpc.descriptors import file_descriptor
from blockdb.wire.proto_text import proto_text
from blockdb.wire.protobuf import Boxed, Json, Listed, Scalar, describe
from tests.wire.samples import METHODS, ROOTS, Everything

WORDS = describe(ROOTS)


def compiled(text: str, folder: Path, name: str) -> FileDescriptorProto:
    """What protoc makes of a text."""
    (folder / name).write_text(text)
    well_known = Path(protoc.__file__).parent / "_proto"
    told = folder / "set"
    arguments = ["protoc", f"-I{folder}", f"-I{well_known}", f"--descriptor_set_out={told}", str(folder / name)]
    assert protoc.main(arguments) == 0
    return FileDescriptorSet.FromString(told.read_bytes()).file[0]


def test_protoc_reads_the_text_as_the_descriptors_say(tmp_path: Path) -> None:
    text = proto_text("sample.v1", "Sample", "Only a sample.", METHODS, WORDS, ["Made by a test."])
    ours = file_descriptor("sample.proto", "sample.v1", "Sample", METHODS, WORDS)
    assert compiled(text, tmp_path, "sample.proto") == ours


def test_a_field_has_the_number_of_its_place() -> None:
    fields = WORDS.messages["Everything"].fields
    assert [field.number for field in fields] == list(range(1, len(fields) + 1))
    assert [field.name for field in fields] == [field.name for field in msgspec.structs.fields(Everything)]


def test_what_fields_become() -> None:
    fields = {field.name: field for field in WORDS.messages["Everything"].fields}
    assert fields["natural"].shape == Scalar("uint64")
    assert fields["values"].shape == Listed(Json())
    assert fields["maybe_list"].shape == Boxed("Everything.MaybeListList", Listed(Scalar("int64")))
    assert {name for name, field in fields.items() if field.has_presence} == {
        "limit", "on", "maybe_number", "maybe_text", "maybe_data", "maybe_yes"
    }  # fmt: skip


def struct(**fields: Any) -> type[Struct]:
    """A Struct of these types, and defaults where they are pairs."""
    return msgspec.defstruct(
        "Bad", [(name, *kind) if isinstance(kind, tuple) else (name, kind) for name, kind in fields.items()]
    )


class One(Struct):
    a: int


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (struct(x=(int | None, 5)), "Bad.x: what may be None has no default but None"),
        (struct(x=(tuple[int, ...], (5,))), "Bad.x: a list or map has no default"),
        (struct(x=dict[int, int]), "Bad.x: the keys of a map are strings"),
        (struct(x=tuple[int, int, int, int, int]), "Bad.x: .* has no counterpart in proto3"),
        (struct(x=int | bytes), "Bad.x: a union is of tagged Structs"),
        (struct(x=One, y=msgspec.defstruct("One", [("b", int)])), "two messages of the name One"),
        (struct(x=Enum("One", {"A": "a"}), y=One), "two messages of the name One"),
    ],
)
def test_what_cannot_be_told_is_refused_by_name(kind: type, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        describe([kind])


def test_two_classes_of_one_name_can_be_told_apart() -> None:
    other = msgspec.defstruct("One", [("b", int)])
    words = describe([One, other], {other: "OtherOne"})
    assert set(words.messages) == {"One", "OtherOne"}
