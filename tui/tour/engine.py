"""Going through a script: each step is told, done with the explorer's own keys, waited for, and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import events
from textual.keys import _character_to_key

import blockdb
from blockdb.commands.failures import IoError

from ..offloop import in_background, off_loop
from ..screens.command import CommandScreen
from ..screens.view import View
from .step import Broken, Ground, Outcome, Phase, Step, keys_of

if TYPE_CHECKING:
    from .guided import Guided

__all__ = ["Tour", "TourKey"]

LOOK_S = 0.1
KEY_S = 0.25
"""Between two keys, so that one sees what each does."""
TYPED_S = 0.04
QUIET_S, MOST_QUIET_S = 0.02, 3.0
MOST_LOOKS = 3_000
READ_S = 0.045
"""So long a letter takes to read, when the tour goes on by itself."""
LEAST_READ_S = 1.5
_FAILURES = (Broken, blockdb.BlockDBError, OSError)
_LASTING = frozenset(
    ("acts", "alerts", "cluster", "connection", "dashboard", "lab", "record", "themes", "tour", "tour-play", "verify")
)
"""The works that go on by themselves: no key waits for them."""


class TourKey(events.Key):
    """A key that the tour presses. It is handled as any other."""


TourKey.handler_name = events.Key.handler_name


class Tour:
    """Where in the script one is, and what came of the steps. For the event loop."""

    def __init__(self, explorer: Guided, ground: Ground, script: Sequence[Step]) -> None:
        self._explorer = explorer
        self._ground = ground
        self.script = script
        self.number = 0
        """Which step is shown."""
        self.is_playing = False
        """Whether it goes on by itself."""
        self.is_pressing = False
        """Whether its keys are under way: those of others would come between them."""
        self.lacking = ""
        """Why there is no cluster."""
        self._outcomes = [Outcome() for _ in script]
        self._shown_keys = [""] * len(script)

    @property
    def step(self) -> Step:
        """The one that is shown."""
        return self.script[self.number]

    @property
    def outcome(self) -> Outcome:
        """What came of it, so far."""
        return self._outcomes[self.number]

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """Those of all steps."""
        return self._outcomes

    @property
    def keys(self) -> str:
        """The keys that it presses, as far as they are known."""
        if self._shown_keys[self.number] or self.outcome.phase is not Phase.READY:
            return self._shown_keys[self.number]
        try:
            return self.step.keys(self._ground)
        except Broken:
            return ""

    @property
    def is_at_end(self) -> bool:
        """Whether all is done."""
        return self.number == len(self.script) - 1 and self.outcome.phase in (Phase.DONE, Phase.SKIPPED)

    # ── going on ──

    def go_on(self) -> None:
        """Does the step, or goes to the next one; after a failure, tries again."""
        phase = self.outcome.phase
        if phase in (Phase.READY, Phase.FAILED):
            self._begin()
        elif phase is not Phase.DOING and not self.is_at_end:
            self.number += 1
            if self.is_playing:
                self.play()
        self._show()

    def go_back(self) -> None:
        """To the step before; it can be done again unless it is one that is done once."""
        if self.number and self.outcome.phase is not Phase.DOING:
            self.is_playing = False
            self.number -= 1
            if not self.step.is_once:
                self._outcomes[self.number] = Outcome()
        self._show()

    def toggle(self) -> None:
        """Goes on by itself, or no longer."""
        self.is_playing = not self.is_playing
        if self.is_playing:
            self.play()
        self._show()

    def play(self) -> None:
        """Goes on by itself from here."""
        in_background(self._explorer, self._play, group="tour-play", latest=True)

    async def _play(self) -> None:
        while self.is_playing and not self.is_at_end and self.outcome.phase is not Phase.FAILED:
            if self.outcome.phase is Phase.DOING:
                await asyncio.sleep(LOOK_S)
            else:
                await self._read_and_go_on()
        self.is_playing = False
        self._show()

    async def _read_and_go_on(self) -> None:
        is_ready = self.outcome.phase is Phase.READY
        told = self.step.words if is_ready else self.outcome.words
        await asyncio.sleep(max(LEAST_READ_S, READ_S * len(told)))
        if self.is_playing and is_ready:
            await self.do()
        elif self.is_playing:
            self.number += 1
        self._show()

    def _begin(self) -> None:
        self._outcomes[self.number] = Outcome(Phase.DOING)
        in_background(self._explorer, self._do, self.number, group="tour", latest=True)

    async def do(self) -> Outcome:
        """Does the step that is shown, and gives what came of it."""
        await self._do(self.number)
        return self._outcomes[self.number]

    async def _do(self, number: int) -> None:
        step = self.script[number]
        self._outcomes[number] = Outcome(Phase.DOING)
        self._show()
        self._outcomes[number] = await self._done(step, number)
        self._show()

    async def _done(self, step: Step, number: int) -> Outcome:
        if step.on_cluster and self.lacking:
            return Outcome(Phase.SKIPPED, self.lacking)
        try:
            await self._clear()
            if step.prepare is not None:
                await off_loop(step.prepare, self._ground)
            self._shown_keys[number] = step.keys(self._ground)
            await self._press_all(self._shown_keys[number])
            words = await self._comes(step)
            if words is None:
                return Outcome(Phase.FAILED, f"It did not come about in {step.patience_s:.0f} s. n tries again.")
            return Outcome(Phase.DONE, words)
        except IoError as error:  # something is not installed
            if not step.on_cluster:
                return Outcome(Phase.FAILED, str(error))
            self.lacking = f"Skipped: {error}"
            return Outcome(Phase.SKIPPED, self.lacking)
        except _FAILURES as error:
            return Outcome(Phase.FAILED, f"{str(error).rstrip('.')}. n tries again.")

    async def _comes(self, step: Step) -> str | None:
        """What is true once it has come; None if it does not. In a cluster it may have gone before it is looked at."""
        until_s = asyncio.get_running_loop().time() + step.patience_s
        while True:
            is_late = asyncio.get_running_loop().time() > until_s
            if await off_loop(step.until, self._ground):
                try:
                    return await off_loop(step.holds, self._ground)
                except Broken:
                    if is_late or not step.on_cluster:
                        raise
            elif is_late:
                return None
            await asyncio.sleep(LOOK_S)

    def _show(self) -> None:
        self._explorer.show_tour()

    # ── keys ──

    async def _clear(self) -> None:
        """Takes away what stands in front, so that keys mean what they should."""
        explorer = self._explorer
        while len(explorer.screen_stack) > 1 and not isinstance(explorer.screen, View):
            await explorer.pop_screen()
        if explorer.view is not None and explorer.view.prompt.asking:
            explorer.view.action_cancel_prompt()
        if explorer.database is not None and explorer.inside is not None:
            explorer.use(explorer.database)
        if explorer.as_of is not None:
            explorer.past.go(None)

    async def _press_all(self, shown: str) -> None:
        self.is_pressing = True
        try:
            await self._press(shown)
        finally:
            self.is_pressing = False

    async def _press(self, shown: str) -> None:
        for word in shown.split():
            for key in keys_of(word):
                if not self._explorer.is_on_tour:
                    raise Broken("The tour was left")
                is_letter = len(key) == 1
                name = _character_to_key(key) if is_letter and not key.isalnum() else key
                self._explorer.post_message(TourKey(name, key if is_letter else None))
                await asyncio.sleep(TYPED_S if len(keys_of(word)) > 1 else KEY_S)
                await self._quiet()

    async def _quiet(self) -> None:
        """Waits until the key has had its effect: nobody has a message left, or reads what it asked for."""
        until_s = asyncio.get_running_loop().time() + MOST_QUIET_S
        for _ in range(MOST_LOOKS):
            if not self._is_busy() or asyncio.get_running_loop().time() > until_s:
                return
            await asyncio.sleep(QUIET_S)

    def _is_busy(self) -> bool:
        explorer = self._explorer
        pumps = [explorer, explorer.screen, *explorer.screen.walk_children()]
        running = explorer.screen.running if isinstance(explorer.screen, CommandScreen) else None
        return (
            any(pump.message_queue_size for pump in pumps)
            or any(not worker.is_finished and worker.group not in _LASTING for worker in explorer.workers)
            or (running is not None and not running.done)
        )
