"""alerts: the rules of the configuration, looked at once."""

from __future__ import annotations

import json
from pathlib import Path

from blockdb.commands.alerts import lookout

from .conftest import Run


def test_what_is_on(run: Run, here: Path) -> None:
    run("put", "a", "1")
    (here / "blockdb.toml").write_text("[alerts]\ndisk_free_percent = 100\n")
    [alert] = json.loads(run("alerts", "--format", "json").out)
    assert (alert["name"], alert["severity"], alert["subject"]) == ("disk_space", "critical", "")
    assert "disk_space" in run("alerts").text


def test_nothing_is_on(run: Run, here: Path) -> None:
    run("put", "a", "1")
    (here / "blockdb.toml").write_text("[alerts]\ndisk_free_percent = 0\n")
    ran = run("alerts", "--format", "json")
    assert (ran.code, json.loads(ran.out)) == (0, [])


def test_a_threshold_that_cannot_be(run: Run, here: Path) -> None:
    run("put", "a", "1")
    (here / "blockdb.toml").write_text("[alerts]\ndisk_free_percent = 101\n")
    ran = run("alerts")
    assert ran.code == 2
    assert "[alerts] disk_free_percent" in ran.err
    assert lookout().interval_s == 10, "the explorer goes on with the defaults"
