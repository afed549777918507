"""Schemas and documents out of few names and values, so that they meet."""

from typing import Any

from hypothesis import strategies as st

TEXTS = [
    "",
    "a",
    "ab",
    "abc",
    "aGk=",
    "é",
    "18",
    "2026-01-01T00:00:00Z",
    "2026-01-01t01:00:00.5+01:00",
    "2026-02-30T00:00:00Z",
]
NUMBERS = [-1, 0, 1, 2, 5, 10**20, 0.5, 1.0, -0.0, 2.5]
NAMES = ["a", "b", "c d"]
SCALARS = st.sampled_from([*TEXTS, *NUMBERS, True, False, None])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3)
LEAF_KINDS = ["String", "Integer", "Float", "Boolean", "Binary", "Timestamp"]


@st.composite
def fields(draw: st.DrawFn, kind: str, in_array: bool = False) -> dict[str, Any]:
    """A field of that type with rules that fit it."""
    rules: list[dict[str, Any]] = []
    if kind in ("String", "Binary", "Array", "Object"):
        least, most = sorted(draw(st.tuples(st.integers(0, 2), st.integers(0, 4))))
        rules += draw(st.lists(st.sampled_from([{"MinLength": least}, {"MaxLength": most}]), max_size=2, unique_by=str))
    if kind == "String":
        rules += draw(st.lists(st.sampled_from([{"Pattern": "^a"}, {"Pattern": "b|c$"}, {"Pattern": "."}]), max_size=2))
    if kind in ("Integer", "Float"):
        low, high = sorted(draw(st.tuples(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS))))
        rules += draw(st.lists(st.sampled_from([{"MinValue": low}, {"MaxValue": high}]), max_size=2, unique_by=str))
    choices = {
        "String": TEXTS,
        "Integer": [number for number in NUMBERS if isinstance(number, int)],
        "Float": NUMBERS,
        "Boolean": [True, False],
        "Binary": ["", "aGk="],
        "Timestamp": [0, 5, *TEXTS[7:9]],
    }
    if kind in choices and draw(st.integers(0, 3)) == 0:
        rules.append({"OneOf": draw(st.lists(st.sampled_from(choices[kind]), min_size=1, max_size=3))})
    if kind == "Timestamp":
        rules += draw(
            st.lists(
                st.sampled_from([{"MinValue": 3}, {"MaxValue": "2026-01-01T00:00:00Z"}]), max_size=2, unique_by=str
            )
        )
    return {"field_type": kind, "required": not in_array and draw(st.booleans()), "validation_rules": rules}


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    """A schema in its JSON form."""
    result: dict[str, Any] = {}
    required: list[str] = []

    def grow(path: str, depth: int) -> None:
        shape = draw(st.integers(0, 5 if depth else 3))
        if path and shape == 0:
            if not path.endswith("[]") and draw(st.booleans()):
                required.append(path)
        elif path and shape <= 3:
            result[path] = draw(fields(draw(st.sampled_from(LEAF_KINDS)), path.endswith("[]")))
        elif path and shape == 4:
            if draw(st.booleans()):
                result[path] = draw(fields("Array", path.endswith("[]")))
            grow(f"{path}[]", depth - 1)
        else:
            if path and draw(st.booleans()):
                result[path] = draw(fields("Object", path.endswith("[]")))
            for name in draw(st.lists(st.sampled_from(["a", "b", '"c d"']), unique=True, min_size=1, max_size=3)):
                grow(f"{path}.{name}" if path else name, depth - 1)

    grow("", 3)
    required += [path for path, field in result.items() if field["required"]]
    return {"fields": result, "required_fields": required, "indexes": []}
