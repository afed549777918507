"""What every test stands on: no settings, no history and no terminal of the person who runs it."""

import os

import pytest
from hypothesis import settings

os.environ["TEXTUAL_ANIMATIONS"] = "none"  # read when textual is imported

# Two noisy cores: an example may take its time. The long tier may try more of them.
settings.register_profile("quick", deadline=None, max_examples=100)
settings.register_profile("torture", deadline=None, max_examples=2_000)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("torture" if config.getoption("markexpr") == "torture" else "quick")


@pytest.fixture(autouse=True)
def nobodys_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is empty, and none of the variables that change what a program says or reads."""
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    for name in list(os.environ):
        if name.startswith(("BLOCKDB_", "XDG_", "GIT_")) or name in {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
