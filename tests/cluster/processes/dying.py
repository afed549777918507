"""`blockdb server`, which kills itself at a step of a commit over several partitions that DIE_AT names.

`ask:ROUND:MOMENT` is about who coordinates it: before the questions of a round (0: prepare, 1: decide, 2: finish, 3: be
forgotten) are asked, or once they are answered. `apply:COMMAND:MOMENT` is about who holds a part of it: before or after
a command of that kind is applied.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from blockdb.cluster.machine.deciding import Deciding
from blockdb.cluster.partitions import committing
from blockdb.commands.main import main

STEPS = (
    *(f"ask:{number}:{moment}" for number in range(4) for moment in ("before", "after")),
    *(f"apply:{kind}:{moment}" for kind in ("Prepare", "Decide", "Finish") for moment in ("before", "after")),
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def around(what: Callable[..., Any], moment: str, is_it: Callable[..., bool]) -> Callable[..., Any]:
    """The function, which ends the process at a moment of the call that is it."""

    def called(*arguments: Any) -> Any:
        hit = is_it(*arguments)
        if hit and moment == "before":
            die()
        result = what(*arguments)
        if hit:
            die()
        return result

    return called


def armed(step: str) -> None:
    part, which, moment = step.split(":")
    if part == "ask":
        kind = ("Prepare", "Decide", "Finish", "Finish")[int(which)]

        def is_round(asked: committing.Round, *_: object) -> bool:
            is_last = kind == "Finish" and not asked.is_awaited
            return type(asked.asks[0].content).__name__ == kind and is_last == (which == "3")

        committing._answers = around(committing._answers, moment, is_round)
    else:
        Deciding.apply = around(  # type: ignore[method-assign]
            Deciding.apply, moment, lambda _, envelope, content: type(content).__name__ == which
        )


if __name__ == "__main__":
    armed(os.environ["DIE_AT"])
    main()
