"""The view of a cluster: its nodes as lanes, and a time line of what they did, live or replayed from a recording."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

import blockdb
from blockdb.commands.display import human_bytes, human_count, human_time, plural, printable
from blockdb.commands.recordings.keeping import keep_cluster
from blockdb.commands.recordings.lanes import Sample
from blockdb.commands.recordings.telling import offset_s

from ..keytext import command_line
from ..offloop import in_background, off_loop
from ..widgets.happenings import Happenings
from ..widgets.lane_table import LaneTable
from ..widgets.placements import Placements
from ..widgets.time_line import TimeLine
from .view import View

if TYPE_CHECKING:
    from ..cluster.scene import Scene, Stage

__all__ = ["ClusterView"]

DRAW_EVERY_S = 0.25
ALONE = (
    "This database is not in a cluster",
    "A cluster is several servers that keep the same database, and agree on each write.",
    "To see one: blockdb cluster demo. To see what one did: blockdb-tui --replay FILE",
    "muted",
)
LIVE_ONLY = frozenset({"follow", "save", "hold", "event", "jump", "move", "ends"})
"""Of a recording, its own keys do what else there is."""
STAGE_ONLY = frozenset({"kill", "restart", "pause", "isolate", "split", "heal", "transfer"})


class ClusterView(View):
    """Lanes above, the time line below them, and under it what happened."""

    NAME = "cluster"
    OF_COLLECTION = False
    REPLAYS = True
    LIVE = "what the nodes do now"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "kill", "Kill", id="cluster.kill"),
        Binding("z", "pause", "Pause", id="cluster.pause"),
        Binding("r", "restart", "Start", id="cluster.restart"),
        Binding("i", "isolate", "Isolate", id="cluster.isolate"),
        Binding("s", "split", "Split", id="cluster.split"),
        Binding("u", "heal", "Heal", id="cluster.heal"),
        Binding("T", "transfer", "Lead", id="cluster.transfer"),
        Binding("space", "hold", "Hold", key_display="space", id="cluster.hold"),
        Binding("left,h", "move(-1)", "Back", id="cluster.back"),
        Binding("right,l", "move(1)", "On", id="cluster.on"),
        Binding("f", "follow", "Follow", id="cluster.follow"),
        Binding("n", "event(1)", "Next event", id="cluster.next_event"),
        Binding("N", "event(-1)", "Event before", show=False, id="cluster.previous_event"),
        Binding("w", "save", "Save", id="cluster.save"),
        Binding("P", "partitions", "Partitions", id="cluster.partitions"),
        Binding("J", "jump", "Jump", show=False, id="cluster.jump"),
        Binding("plus,equals_sign", "zoom(-1)", "Closer", show=False, key_display="+", id="cluster.closer"),
        Binding("minus", "zoom(1)", "Further", show=False, key_display="-", id="cluster.further"),
        Binding("home,g", "ends(-1)", "First", show=False, id="cluster.first"),
        Binding("end,G", "ends(1)", "Last", show=False, id="cluster.last"),
        Binding("pageup,ctrl+u,H", "page(-1)", "Back a screen", show=False, id="cluster.page_back"),
        Binding("pagedown,ctrl+d,L", "page(1)", "On a screen", show=False, id="cluster.page_on"),
    ]

    HELP_TITLE = "The cluster"

    def body(self) -> Iterable[Widget]:
        self.first_pane = self.lanes = LaneTable(id="lanes")
        self.line = TimeLine(id="time-line")
        self.happenings = Happenings(id="happenings")
        self.placements = Placements(id="placements")
        self.placements.display = False
        return self.lanes, self.line, self.happenings, self.placements

    # ── the scene ──

    @property
    def scene(self) -> Scene | None:
        """The cluster, if there is one."""
        return self.explorer.scene

    @property
    def stage(self) -> Stage | None:
        """What faults can be done with, in the demonstration."""
        return self.scene.stage if self.scene is not None else None

    def instead(self) -> tuple[str, str, str, str] | None:
        if self.scene is not None:
            return None
        if self.database is None:
            return self.explorer.trouble
        return (
            ("The server does not tell of a cluster", self.explorer.no_cluster, *ALONE[2:])
            if self.explorer.no_cluster
            else ALONE
        )

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(DRAW_EVERY_S, self.tick)
        self.staged()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.show_moment()

    def staged(self) -> None:
        """Called when there is a cluster to be shown."""
        super().staged()
        self.show_connection()
        if self.scene is not None and (self.focused is None or self.focused is self.notice):
            self.first_pane.focus()
        self.refresh_bindings()
        self.show_moment()

    def tick(self) -> None:
        """Takes what has come, and shows it if somebody looks."""
        if self.scene is not None and self.scene.is_live:
            self.scene.tick()
            if self.is_current:
                self.show_moment()

    def replayed(self) -> None:
        super().replayed()
        self.show_moment()

    def show_moment(self) -> None:
        """Shows the moment at which the time line stands."""
        scene = self.scene
        if scene is None:
            return
        playhead = scene.playhead
        sample = scene.story.at(playhead.time_ms)
        self.lanes.show(sample, *self._heading(sample))
        if sample is not None and len(sample.lanes) != self._lanes_shown:
            self._lanes_shown = len(sample.lanes)
            self.lanes.styles.height = self._lanes_shown + 3
            self.line.styles.height = self._lanes_shown + 4
        self.line.show(scene.story, playhead, Content("Time line"), self._where(scene))
        self.happenings.show(scene.story, playhead.time_ms)
        self.placements.show(sample)
        if (sample is not None and bool(sample.partitions)) != self._has_partitions:
            self._has_partitions = not self._has_partitions
            self.refresh_bindings()

    _lanes_shown = 0
    _has_partitions = False

    def _heading(self, sample: Sample | None) -> tuple[Content, Content]:
        if sample is None:
            return Content("Cluster"), Content("nobody has answered yet")
        leader = sample.leader
        voters = [lane for lane in sample.lanes if lane.role == "voter"]
        there = sum(lane.is_there for lane in voters)
        whole = there * 2 > len(voters)
        who = f"{printable(leader.id)} leads · term {human_count(leader.term)}" if leader is not None else "no leader"
        majority = "✓ majority" if whole else "✗ no majority"
        title = Content.assemble("Cluster · ", (who, "$accent" if leader is not None else "$error"))
        count = f"{there} of {plural(len(voters), 'voter')} there · "
        return title, Content.assemble(count, (majority, "$success" if whole else "$error"))

    def _where(self, scene: Scene) -> Content:
        playhead = scene.playhead
        cell = f"{playhead.step_ms / 1000:g} s a cell"
        if not scene.is_live:
            return Content(cell)
        if playhead.is_running:
            return Content.assemble(("● following", "$success"), f" · {cell}")
        behind_s = (scene.story.last_ms - playhead.time_ms) / 1000
        return Content.assemble((f"‖ held {behind_s:.0f} s ago", "$warning"), f" · {cell}")

    # ── going along the line ──

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What can be done depends on whether it is live, replayed, or a demonstration."""
        scene = self.scene
        if action in ("back", "cancel_prompt"):
            return True
        if scene is None:
            return super().check_action(action, parameters) and not hasattr(self, f"action_{action}")
        if action == "partitions":
            return self._has_partitions
        if action in STAGE_ONLY:
            return scene.stage is not None
        return scene.is_live if action in LIVE_ONLY else True

    def action_partitions(self) -> None:
        """Shows who keeps which partition in place of what happened, or the other way."""
        has_focus = self.focused in (self.happenings, self.placements)
        self.placements.display, self.happenings.display = self.happenings.display, self.placements.display
        if has_focus:
            (self.placements if self.placements.display else self.happenings).focus()

    def _go(self, how: Callable[[], object]) -> None:
        how()
        if self.explorer.is_replay:
            self.explorer.show_replay()
        else:
            self.show_moment()

    def action_hold(self) -> None:
        """Holds still, or goes on: with the end, or with the recording."""
        if self.scene is not None:
            self._go(self.scene.playhead.toggle)

    def action_follow(self) -> None:
        """Goes to the end and stays there."""
        self.action_ends(1)

    def action_move(self, cells: int) -> None:
        """Along the line by cells."""
        if self.scene is not None:
            playhead = self.scene.playhead
            self._go(lambda: playhead.move(cells))

    def action_page(self, pages: int) -> None:
        """Along the line by what is in view."""
        self.action_move(pages * max(1, self.line.columns - 1))

    def action_ends(self, end: int) -> None:
        """To the beginning or to the end."""
        if self.scene is not None:
            self._go(self.scene.playhead.to_first if end < 0 else self.scene.playhead.to_last)

    def action_event(self, by: int) -> None:
        """To the next event, or to the one before."""
        if self.scene is not None and not self.scene.playhead.to_event(by > 0):
            self.explorer.say("There is no event " + ("after" if by > 0 else "before") + " this moment.")
        self.show_moment()

    def action_zoom(self, by: int) -> None:
        """More time in the same width, or less."""
        if self.scene is not None:
            playhead = self.scene.playhead
            self._go(lambda: playhead.zoom(by))

    def action_jump(self) -> None:
        """Asks for a moment, in seconds or minutes from the beginning."""
        self.prompt.ask("Seconds from the beginning (or 1:30)", done=self._jump)

    def _jump(self, text: str) -> None:
        scene = self.scene
        try:
            after_s = offset_s(text)
        except ValueError:
            self.explorer.say(f"{text} is no time such as 90, 12.5 or 1:30.", "warning")
            return
        if scene is not None:
            self._go(lambda: scene.playhead.seek(scene.story.first_ms + after_s * 1000))

    @on(TimeLine.Sought)
    def _sought(self, event: TimeLine.Sought) -> None:
        if self.scene is not None:
            playhead = self.scene.playhead
            self._go(lambda: playhead.seek(event.time_ms))

    def step_back(self) -> bool:
        if self.focused is not self.happenings:
            return False
        self.lanes.focus()
        return True

    def shown_as_command(self) -> str:
        if self.scene is not None and not self.scene.is_live:
            return f"blockdb-tui --replay {shlex.quote(self.scene.name)}"
        return command_line(self.explorer.whole, "cluster status")

    # ── keeping it ──

    def action_save(self) -> None:
        """Asks where to keep what was seen."""
        stamp = human_time(self.explorer.wall_clock_ms())[:19].replace("-", "").replace(":", "").replace(" ", "-")
        self.prompt.ask("Save the time line as", f"cluster-{stamp}.jsonl", done=self._save)

    def _save(self, name: str) -> None:
        if self.scene is not None and name.strip():
            in_background(self, self._write, Path(name.strip()).expanduser(), group="save")

    async def _write(self, path: Path) -> None:
        assert self.scene is not None
        story = self.scene.story
        try:
            size = await off_loop(keep_cluster, path, story.samples, story.events)
        except FileExistsError:
            self.explorer.say(f"{path} is there already; nothing was written.", "warning")
        except OSError as error:
            self.explorer.say(f"It cannot be saved. {error}", "error")
        else:
            self.explorer.say(
                f"Saved {human_bytes(size)}. To see it again: blockdb-tui --replay {shlex.quote(str(path))}"
            )

    # ── faults, in the demonstration ──

    def action_kill(self) -> None:
        """Kills the node, as a power cut would."""
        self._do("killed", lambda stage, id_: stage.kill(id_))

    def action_restart(self) -> None:
        """Starts the node again."""
        self._do("started again", lambda stage, id_: stage.restart(id_))

    def action_pause(self) -> None:
        """Stops the node's process where it stands, or lets it go on."""
        lane = self.lanes.lane
        if lane is not None and lane.fault == "paused":
            self._do("goes on", lambda stage, id_: stage.resume(id_))
        else:
            self._do("paused", lambda stage, id_: stage.pause(id_))

    def action_isolate(self) -> None:
        """Cuts the node off from all others."""
        self._do("cut off", lambda stage, id_: stage.isolate(id_))

    def action_split(self) -> None:
        """Cuts the cluster in two, the smaller half with the node in it."""
        self._do("on the smaller side of a cut", lambda stage, id_: stage.split(id_))

    def action_heal(self) -> None:
        """Connects everybody again."""
        self._do("all connected again", lambda stage, id_: stage.heal())

    def action_transfer(self) -> None:
        """Has the node lead."""
        self._do("asked to lead", lambda stage, id_: stage.transfer(id_))

    def _do(self, what: str, deed: Callable[[Stage, str], object]) -> None:
        lane = self.lanes.lane
        if self.stage is not None and lane is not None and self.explorer.may("Doing something to a node"):
            in_background(self, self._done, lane.id, what, deed, group="fault")

    async def _done(self, id_: str, what: str, deed: Callable[[Stage, str], object]) -> None:
        scene = self.scene
        assert scene is not None
        assert scene.stage is not None
        time_ms = self.explorer.wall_clock_ms()
        try:
            await off_loop(deed, scene.stage, id_)
        except (blockdb.BlockDBError, OSError) as error:
            self.explorer.say(f"{id_}: {error}", "error")
        else:
            scene.did(id_, what, time_ms)
