"""Which number each field has, kept for ever: `python -m tests.server.grpc.pins` adds what is new to the list.

A number that was given out is never another field's: programs that were built with it would misread each other.
"""

from __future__ import annotations

from pathlib import Path

from blockdb.server.grpc.catalogue import catalogue

PINS = Path(__file__).parents[2] / "golden" / "grpc-fields.txt"


def fields() -> dict[str, str]:
    """`message.field`, `enum.VALUE`, and what they have: number and type."""
    file = catalogue().file
    found = {}
    waiting = [("", message) for message in file.message_type]
    enums = [("", enum) for enum in file.enum_type]
    while waiting:
        outer, message = waiting.pop()
        name = f"{outer}{message.name}"
        for field in message.field:
            kind = field.type_name.removeprefix(".blockdb.v1.") or field.Type.Name(field.type)
            several = "repeated " if field.label == field.LABEL_REPEATED else ""
            found[f"{name}.{field.name}"] = f"{field.number} {several}{kind}"
        waiting += [(f"{name}.", inner) for inner in message.nested_type]
        enums += [(f"{name}.", inner) for inner in message.enum_type]
    for outer, enum in enums:
        found |= {f"{outer}{enum.name}.{value.name}": str(value.number) for value in enum.value}
    for method in file.service[0].method:
        found[f"rpc {method.name}"] = f"{method.input_type} {method.output_type}".replace(".blockdb.v1.", "")
    return found


def pinned() -> dict[str, str]:
    """What the list says."""
    lines = PINS.read_text().splitlines() if PINS.exists() else []
    return dict(line.split(": ", 1) for line in lines)


def write(told: dict[str, str]) -> None:
    PINS.write_text("".join(f"{name}: {what}\n" for name, what in sorted(told.items())))


if __name__ == "__main__":
    write(fields() | pinned())  # what was pinned stays as it was
