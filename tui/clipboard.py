"""Copying: through the terminal (OSC 52, which works over SSH), and with the program of this machine's own display.

OSC 52 asks the terminal to take a text; nothing comes back that tells whether it did. tmux takes it for itself if
`set-clipboard` is `on`, and hands on what is wrapped for it if `allow-passthrough` is on; GNU screen hands on what is
wrapped for it, in short pieces.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["MOST_BYTES", "NATIVE_BYTES", "Through", "copy_natively", "native_program", "sequence", "through"]

MOST_BYTES = 64 * 1024
"""What terminals take at most, some of them less."""
NATIVE_BYTES = 16 * 1024 * 1024
PIECE = 240
"""What GNU screen hands on in one piece, with room to spare."""
PATIENCE_S = 2.0


@dataclass(frozen=True)
class Through:
    """What stands between the explorer and the terminal: `tmux`, `screen`, or nothing; and what it may hold back."""

    name: str = ""
    hint: str = ""


def through(environ: Mapping[str, str] = os.environ) -> Through:
    """What stands between, as the environment tells it."""
    if environ.get("TMUX"):
        return Through("tmux", "tmux must have set-clipboard on, or allow-passthrough on")
    if environ.get("STY") or environ.get("TERM", "").startswith("screen"):
        return Through("screen", "screen hands it on, if the terminal takes it")
    return Through()


def sequence(text: str, between: Through) -> str:
    """The bytes, as text, that ask the terminal to take a text; wrapped for what stands between."""
    plain = f"\x1b]52;c;{base64.b64encode(text.encode()).decode('ascii')}\a"
    if between.name == "tmux":  # once for tmux itself, once for the terminal that it is in
        return plain + "\x1bPtmux;" + plain.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if between.name == "screen":
        pieces = (plain[at : at + PIECE] for at in range(0, len(plain), PIECE))
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return plain


def native_program(environ: Mapping[str, str] = os.environ) -> list[str] | None:
    """The program that fills the clipboard of the display on this machine; None where there is none, or over SSH."""
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY") or environ.get("SSH_CLIENT"):
        return None
    candidates: list[list[str]] = []
    if sys.platform == "darwin":
        candidates.append(["pbcopy"])
    if environ.get("WAYLAND_DISPLAY"):
        candidates.append(["wl-copy"])
    if environ.get("DISPLAY"):
        candidates += [["xclip", "-selection", "clipboard"], ["xsel", "--clipboard", "--input"]]
    if environ.get("WSL_DISTRO_NAME"):
        candidates.append(["clip.exe"])
    return next((words for words in candidates if shutil.which(words[0], path=environ.get("PATH"))), None)


def copy_natively(program: list[str], text: str) -> str:
    """Has the program take a text. Returns what went wrong, in words; nothing where it took it. Waits at most 2 s."""
    try:
        done = subprocess.run(
            program,
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # a pipe would be held open by what stays behind to serve the clipboard
            timeout=PATIENCE_S,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program[0]} did not: {type(error).__name__}"
    return "" if done.returncode == 0 else f"{program[0]} ended with {done.returncode}"
