"""Structs that have everything a message can have, and values of them by chance."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

from hypothesis import strategies as st
from msgspec import Meta, Struct

from blockdb.wire.protobuf import Method


class Colour(Enum):
    """What it looks like."""

    RED = "red"
    DARK_GREEN = "dark-green"


@dataclass(frozen=True, slots=True)
class Point:
    """A dataclass."""

    x: int
    y: int | None
    names: tuple[str, ...] = ()


class Tree(Struct, kw_only=True):
    """It holds itself."""

    name: str
    branches: list[Tree] = []
    meta: dict[str, Any] = {}


class Circle(Struct, kw_only=True, tag_field="kind", tag="circle"):
    radius: float


class Line(Struct, kw_only=True, tag_field="kind", tag="line"):
    points: list[Point]
    colour: Colour | None = None


class Plain(Struct, kw_only=True, forbid_unknown_fields=True):
    """What needs no mending."""

    key: bytes
    value: bytes = b""
    collection: str = "default"
    sync: bool = False


class Everything(Struct, kw_only=True, forbid_unknown_fields=True):
    """All there is."""

    number: int
    natural: Annotated[int, Meta(ge=0)]
    share: float
    text: str
    data: bytes
    yes: bool
    colour: Colour
    order: Literal["up", "down"] = "up"
    limit: int = 100
    on: bool = True
    maybe_number: int | None = None
    maybe_text: str | None = None
    maybe_data: bytes | None = None
    maybe_yes: bool | None = None
    maybe_colour: Colour | None = None
    point: Point = Point(1, 2)
    maybe_point: Point | None = None
    points: list[Point] = []
    by_name: dict[str, Point] = {}
    counts: dict[str, int] = {}
    maybe_list: list[int] | None = None
    maybe_map: dict[str, bytes] | None = None
    rows: list[list[str]] = []
    groups: dict[str, list[Point]] = {}
    colours: list[Colour] = []
    free: Any = None
    either: str | int | None = None
    document: dict[str, Any] = {}
    maybe_document: dict[str, Any] | None = None
    values: list[Any] = []
    tree: Tree | None = None
    shape: Circle | Line | None = None
    shapes: list[Circle | Line] = []
    circle: Circle | None = None
    plain: Plain | None = None
    pairs: tuple[tuple[str, int], ...] = ()
    triple: tuple[Point, Any, int | None] | None = None


ROOTS = (Everything, Plain)
METHODS = (
    Method("Plain", "Plain", "Everything", doc="A method hides the message of its name."),
    Method("Talk", "Everything", "Plain", True, True),
)

int64 = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=5)
data = st.binary(max_size=5)
floats = st.floats(allow_nan=False)
_scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
json = st.recursive(
    _scalars | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(texts, json, max_size=3)
points = st.builds(Point, int64, st.none() | int64, st.lists(texts, max_size=2).map(tuple))
colours = st.sampled_from(Colour)
circles = st.builds(Circle, radius=floats)
shapes = circles | st.builds(Line, points=st.lists(points, max_size=2), colour=st.none() | colours)
plains = st.builds(Plain, key=data, value=data, collection=texts, sync=st.booleans())
trees = st.recursive(
    st.builds(Tree, name=texts, meta=documents),
    lambda inner: st.builds(Tree, name=texts, branches=st.lists(inner, max_size=2)),
    max_leaves=4,
)
everything = st.fixed_dictionaries(
    {
        "number": int64,
        "natural": st.integers(0, 2**63 - 1),
        "share": floats,
        "text": texts,
        "data": data,
        "yes": st.booleans(),
        "colour": colours,
    },
    optional={
        "order": st.sampled_from(["up", "down"]),
        "limit": int64,
        "on": st.booleans(),
        "maybe_number": int64,
        "maybe_text": texts,
        "maybe_data": data,
        "maybe_yes": st.booleans(),
        "maybe_colour": colours,
        "point": points,
        "maybe_point": points,
        "points": st.lists(points, max_size=2),
        "by_name": st.dictionaries(texts, points, max_size=2),
        "counts": st.dictionaries(texts, int64, max_size=2),
        "maybe_list": st.lists(int64, max_size=2),
        "maybe_map": st.dictionaries(texts, data, max_size=2),
        "rows": st.lists(st.lists(texts, max_size=2), max_size=2),
        "groups": st.dictionaries(texts, st.lists(points, max_size=2), max_size=2),
        "colours": st.lists(colours, max_size=2),
        "free": json,
        "either": st.none() | texts | st.integers(-(2**53), 2**53),
        "document": documents,
        "maybe_document": documents,
        "values": st.lists(json, max_size=2),
        "tree": trees,
        "shape": shapes,
        "shapes": st.lists(shapes, max_size=2),
        "circle": circles,
        "plain": plains,
        "pairs": st.lists(st.tuples(texts, int64), max_size=2).map(tuple),
        "triple": st.tuples(points, json.filter(lambda value: value is not None), st.none() | int64),
    },
).map(lambda values: Everything(**values))
