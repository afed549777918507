"""The door to the system: whole writes, whole replacements, the lock, and words for what went wrong."""

import errno
import gc
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from weakref import ReferenceType, ref

import pytest

from blockdb.errors import DatabaseLocked, StorageError
from blockdb.storage.door import Door, guarded
from tests.storage.doors import ShortDoor, TroubledDoor


@pytest.mark.parametrize("most", [1, 3, 100])
def test_everything_is_written_however_little_the_system_takes_at_once(most: int, tmp_path: Path) -> None:
    ShortDoor(most).create(tmp_path / "file", b"some content")
    assert (tmp_path / "file").read_bytes() == b"some content"


@pytest.mark.parametrize("trouble", ["create", "write", "force", "rename"])
def test_a_replacement_that_fails_leaves_the_old_file(trouble: str, tmp_path: Path) -> None:
    path, door = tmp_path / "file", TroubledDoor()
    door.replace(path, b"old")
    door.failing[trouble] = errno.ENOSPC
    with pytest.raises(OSError, match="space"):
        door.replace(path, b"new")
    assert path.read_bytes() == b"old"
    door.failing.clear()
    door.replace(path, b"newer")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"newer"


def test_what_it_makes_is_for_the_owner_alone(tmp_path: Path) -> None:
    door = Door()
    door.make_directory(tmp_path / "directory")
    door.create(tmp_path / "file", b"")
    os.close(door.open_append(tmp_path / "log"))
    os.close(door.lock(tmp_path / "LOCK"))
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_the_identity_of_a_file_changes_when_it_is_replaced(tmp_path: Path) -> None:
    path, door = tmp_path / "file", Door()
    assert door.identity(path) is None
    before = None
    for _ in range(20):
        door.replace(path, b"always the same")
        assert door.identity(path) != before
        before = door.identity(path)


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    Door().remove(tmp_path / "file")


def test_the_lock_names_its_holder_and_goes_with_it(tmp_path: Path) -> None:
    path, door = tmp_path / "LOCK", Door()
    descriptor = door.lock(path)
    with pytest.raises(DatabaseLocked, match="by this process"):
        door.lock(path)
    os.close(descriptor)
    os.close(door.lock(path))
    program = f"import fcntl as f; o = open({str(path)!r}); f.flock(o, f.LOCK_EX); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DatabaseLocked, match=f"process {holder.pid}.*read_only=True"):
            door.lock(path)
        holder.kill()
    os.close(door.lock(path))


def test_the_boot_id_is_the_same_until_the_machine_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Door().boot_id() == Door().boot_id()
    assert len(Door().boot_id()) == 16
    for content in (None, "no id"):
        file = tmp_path / "boot_id"
        if content is not None:
            file.write_text(content)
        monkeypatch.setattr("blockdb.machine.BOOT_ID", file)
        assert Door().boot_id() == bytes(16)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "free some space on the disk"),
        (errno.EDQUOT, "within the quota"),
        (errno.EACCES, "check the permissions"),
        (errno.EROFS, "read_only=True"),
        (errno.EMFILE, "raise the limit of open files"),
        (errno.EIO, "check the disk"),
        (errno.EXDEV, "see what the system says"),
    ],
)
def test_an_error_of_the_system_says_what_was_done_and_what_to_do(code: int, advice: str) -> None:
    with pytest.raises(StorageError) as caught, guarded("opening it"):
        raise OSError(code, os.strerror(code), "/some/file")
    words = str(caught.value)
    assert words.startswith(f"opening it failed: {os.strerror(code)} (/some/file); ")
    assert advice in words
    assert isinstance(caught.value.__cause__, OSError)


def test_errors_that_are_not_the_systems_pass() -> None:
    with pytest.raises(KeyError), guarded("opening it"):
        raise KeyError


def test_what_failed_is_let_go_of_without_a_look_for_garbage() -> None:
    held: list[ReferenceType[set[str]]] = []

    def fail() -> None:
        opened = {"what the function that failed had"}
        held.append(ref(opened))
        with guarded("opening a file"):
            raise OSError(errno.EMFILE, "too many open files")

    gc.disable()
    try:
        with suppress(StorageError):
            fail()
        assert held[0]() is None
    finally:
        gc.enable()
