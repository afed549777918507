"""Every state that a crash may leave behind: of a killed process, and of a machine whose power was cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from math import prod
from random import Random
from typing import NamedTuple

from tests.fault.crash.disk import Change, Disk, Edit, Edited, File, Fill, Operation, Resize, Store, Write, edited
from tests.fault.crash.recorder import Entry, Promise

MOST_WHOLE_SUBSETS = 4
"""Of so many changes of names, all subsets are tried; of more, a choice."""

REGISTER_BYTES = 16


class Crash(NamedTuple):
    """What a crash left behind."""

    disk: Disk
    rebooted: bool
    """Whether the machine went down, and not the process alone."""
    promise: Promise
    story: str
    following: Operation | None = None
    """What would have been done next."""

    @property
    def owed(self) -> int:
        """So many commits must be there."""
        return self.promise.forced if self.rebooted else self.promise.acknowledged


class Effort(NamedTuple):
    """How many states are tried of those that each operation may leave behind."""

    cuts: int
    """Lengths at which the write under way is cut by a kill."""
    outcomes: int
    """What a power cut may leave of what was not forced."""


def crashes(start: Disk, journal: Sequence[Entry], effort: Effort, rng: Random) -> Iterator[Crash]:
    """Kill the process, and cut the power, before each entry of a journal and after the last one.

    Only what an entry changes is tried anew: after an acknowledgement the same states are owed more.
    """
    disk = start.copy()
    for at in range(len(journal) + 1):
        entry = journal[at] if at < len(journal) else None
        promise = (entry or journal[-1]).promise
        following = entry.operation if entry else None
        where = f"operation {at}, before {following}"
        yield Crash(disk.copy(), False, promise, f"killed at {where}", following)
        for part, what in _parts(following, effort.cuts, rng):
            yield Crash(_after(disk, part), False, promise, f"killed at {where}, {what}", following)
        for image, what in power_cuts(disk, effort.outcomes, rng):
            yield Crash(Disk(image), True, promise, f"power cut at {where}: {what}", following)
        if following is not None:
            disk.apply(following)


def _cuts(size: int, most: int, rng: Random) -> list[int]:
    """Lengths of a write that was cut short: its ends, its middle, some others."""
    inner = range(1, size)
    if len(inner) <= most:
        return list(inner)
    return sorted({*[1, size - 1, size // 2][:most], *rng.sample(inner, max(most - 3, 0))})


def _parts(operation: Operation | None, most: int, rng: Random) -> Iterator[tuple[Edited, str]]:
    """What a kill may leave of an operation that it interrupts: a write is cut short, a store has any parts."""
    if isinstance(operation, Edited) and isinstance(operation.edit, Write | Fill):
        edit = operation.edit
        for cut in _cuts(len(edit.data), most, rng):
            yield operation._replace(edit=edit._replace(data=edit.data[:cut])), f"cut at {cut}"
        if isinstance(edit, Fill):
            for missing in _holes_in(edit.data, most, rng):
                yield operation._replace(edit=edit._replace(data=missing)), f"stored in parts: {missing.hex()}"


def _holes_in(data: bytes, most: int, rng: Random) -> Iterator[bytes]:
    """Some of the bytes, zeros for the others: so many are stored at once as a register has, in any order."""
    starts = range(0, len(data), REGISTER_BYTES)
    if len(starts) > 1:
        yield bytes(REGISTER_BYTES) + data[REGISTER_BYTES:]
        for _ in range(most):
            stored = [rng.random() < 0.5 for _ in starts]
            parts = [data[at : at + REGISTER_BYTES] for at in starts]
            yield b"".join(part if kept else bytes(len(part)) for part, kept in zip(parts, stored, strict=True))


def _after(disk: Disk, operation: Edited) -> Disk:
    after = disk.copy()
    after.apply(operation)
    return after


# ── what was not forced ──────────────────────────────────────────────────────────────────────────────────────────


def power_cuts(disk: Disk, most: int, rng: Random) -> Iterator[tuple[dict[str, bytes | None], str]]:
    """What may be on the disk after a power cut, with a description: all of it if that is at most `most` states.

    Otherwise nothing of what was not forced, all of it, and a choice of what is between.
    """
    subsets = _subsets(disk.changes, most, rng)
    unforced = sorted(number for number, file in disk.files.items() if file.edits)
    contents = [_contents(disk.files[number], most, rng) for number in unforced]
    axes = [range(len(subsets)), *(range(len(outcomes)) for outcomes in contents)]
    for choice in _choices(axes, most, rng):
        present = subsets[choice[0]]
        chosen = {number: outcomes[pick] for number, outcomes, pick in zip(unforced, contents, choice[1:], strict=True)}
        names = disk.names(present)
        image = {
            path: chosen.get(number, disk.files[number].durable) if number else None for path, number in names.items()
        }
        sizes = {path: len(chosen[number]) for path, number in names.items() if number in chosen}
        missing = [change.entries for change in disk.changes if change not in present]
        yield image, f"unforced files have the sizes {sizes}, missing {missing}, choice {choice}"


def _choices(axes: Sequence[Sequence[int]], most: int, rng: Random) -> Iterator[tuple[int, ...]]:
    """Combinations of one of each axis. The first of an axis stands for nothing of it, the last for everything."""
    if prod(map(len, axes)) <= most:
        yield from product(*axes)
        return
    yield tuple(axis[0] for axis in axes)
    yield tuple(axis[-1] for axis in axes)
    for _ in range(most - 2):
        yield tuple(map(rng.choice, axes))


def _subsets(changes: Sequence[Change], most: int, rng: Random) -> list[tuple[Change, ...]]:
    """Which changes of names reached the disk: none first, all of them last."""
    everything = tuple(changes)
    if len(changes) <= MOST_WHOLE_SUBSETS:
        return [some for size in range(len(changes) + 1) for some in combinations(everything, size)]
    prefixes = [everything[:size] for size in range(len(changes))]
    chosen = [tuple(change for change in changes if rng.random() < 0.5) for _ in range(most)]
    return [*prefixes, *chosen, everything]


def _contents(file: File, most: int, rng: Random) -> list[bytes]:
    """What may be on the disk of a file: what was forced first, all edits last, each content once."""
    edits = file.edits
    found = [edited(file.durable, edits[:count]) for count in range(len(edits))]
    if not any(isinstance(edit, Store) for edit in edits):
        found.extend(_splits(file, rng))
        found.extend(_holes(file, most, rng))
    whole = file.content()
    return [*dict.fromkeys(content for content in found if content != whole), whole]


def _splits(file: File, rng: Random) -> Iterator[bytes]:
    """The last edit that reached the disk did so in part; the file is as long as that, or as long as it became."""
    size = len(file.content())
    for count, edit in enumerate(file.edits):
        before = file.edits[:count]
        yield edited(file.durable, [*before, *_lengthened(size)])
        if isinstance(edit, Write | Fill):
            for cut in {1, len(edit.data) // 2, len(edit.data) - 1, rng.randrange(len(edit.data) + 1)}:
                part = edit._replace(data=edit.data[:cut])
                yield edited(file.durable, [*before, part])
                yield edited(file.durable, [*before, part, *_lengthened(size)])


def _lengthened(size: int) -> list[Edit]:
    return [Write(size, b"")]


def _holes(file: File, most: int, rng: Random) -> Iterator[bytes]:
    """Pages reached the disk in another order than they were written: one is missing, all but one are, some are."""
    edits = file.edits
    for at in range(len(edits)):
        yield edited(file.durable, edits[:at] + edits[at + 1 :])
        yield edited(file.durable, [edits[at]])
    for _ in range(min(most, len(edits) ** 2)):
        yield edited(file.durable, [edit for edit in edits if isinstance(edit, Resize) or rng.random() < 0.5])
