"""The program run in this process, as the tests of the commands run it."""

from tests.commands.conftest import Run, here, run

__all__ = ["Run", "here", "run"]
