"""Copying: the bytes that the terminal gets, and the program of the display."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

import blockdb
from blockdb_tui.clipboard import Through, native_program, sequence, through
from tests.tui.covering import app_of, said
from tests.tui.drive import exploring, press, settled
from tests.tui.test_main import on_terminal

TMUX, SCREEN = through({"TMUX": "/tmp/tmux-0/default,1,0"}), through({"TERM": "screen-256color"})


def program(directory: Path, name: str, script: str) -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_the_sequence_is_wrapped_for_what_stands_between() -> None:
    plain = sequence("key \u00fc", Through())
    assert plain == f"\x1b]52;c;{base64.b64encode('key ü'.encode()).decode()}\a"
    assert sequence("key \u00fc", TMUX) == f"{plain}\x1bPtmux;\x1b{plain}\x1b\\"
    wrapped = sequence("long " * 500, SCREEN)
    pieces = wrapped.split("\x1b\\")
    assert all(piece.startswith("\x1bP") and len(piece) < 256 for piece in pieces[:-1])
    assert "".join(piece[2:] for piece in pieces[:-1]) == sequence("long " * 500, Through())
    assert through({"TERM": "xterm"}) == Through()


def test_the_program_of_the_display_is_not_used_over_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("xclip", "wl-copy", "clip.exe"):
        program(tmp_path, name, "exit 0")
    here = {"PATH": str(tmp_path)}
    assert native_program(here) is None
    assert native_program({**here, "DISPLAY": ":0"}) == ["xclip", "-selection", "clipboard"]
    assert native_program({**here, "DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}) == ["wl-copy"]
    assert native_program({**here, "WSL_DISTRO_NAME": "Debian"}) == ["clip.exe"]
    assert native_program({**here, "DISPLAY": ":0", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}) is None
    assert native_program({"PATH": "", "DISPLAY": ":0"}) is None
    monkeypatch.setattr("sys.platform", "darwin")
    program(tmp_path, "pbcopy", "exit 0")
    assert native_program(here) == ["pbcopy"]


async def test_what_is_known_of_a_copy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"):
        monkeypatch.delenv(name, raising=False)
    async with exploring() as pilot:
        app = app_of(pilot)
        await press(pilot, "c")
        assert said(pilot)[-1] == "Asked the terminal to copy the key. Whether it did, it does not tell."
        monkeypatch.setenv("TMUX", "x")
        await press(pilot, "c")
        assert "(tmux must have set-clipboard on, or allow-passthrough on)" in said(pilot)[-1]
        app.copy(b"x" * 100_000, "the value")
        await settled(pilot)
        assert "97.7 KB is more than terminals take. E saves it to a file." in said(pilot)[-1]

        monkeypatch.setattr("blockdb_tui.clipboard.PATIENCE_S", 60.0)
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        program(tmp_path, "xclip", f"cat > {tmp_path}/clipboard")
        app.copy(b"x" * 100_000 + b"\xff", "the value")
        await settled(pilot)
        assert said(pilot)[-1] == "Copied the value, in hex because it is not text (xclip)."
        assert (tmp_path / "clipboard").read_text() == "78" * 100_000 + "ff"
        program(tmp_path, "xclip", "exit 3")
        await press(pilot, "c")
        assert "xclip ended with 3. Asked the terminal to copy the key." in said(pilot)[-1]


@pytest.mark.torture
def test_a_real_terminal_gets_the_sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with blockdb.open(tmp_path / "db") as database:
        database.put(b"evil:\x1b]52;c;AAAA\x07", b"1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    with on_terminal(str(tmp_path / "db"), "--fresh") as terminal:
        terminal.wait_for(b"nothing wrong")
        terminal.press(b"1")
        terminal.wait_for(b"evil:")
        terminal.press(b"c")
        terminal.wait_for(sequence("evil:\x1b]52;c;AAAA\x07", Through()).encode())
        terminal.press(b"q")
        assert terminal.read_to_the_end() == 0
