"""The one door to the operating system: everything that touches a file goes through it, so that tests can stand in it.

Functions raise OSError as the system does; `guarded` turns that into the database's errors.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from mmap import ACCESS_READ, ACCESS_WRITE, MADV_DONTNEED, mmap
from pathlib import Path
from typing import Final

from blockdb import machine
from blockdb.errors import DatabaseLocked, StorageError
from blockdb.format.buffer import Buffer, Slices
from blockdb.format.keyring import DataKeys
from blockdb.format.reserved import filled_bytes

KERNEL_LOCKS = Path("/proc/locks")

KEEPING_RESERVES: Final = frozenset({"ext4", "tmpfs"})
"""File systems in which a block that was reserved can be stored into, whatever became of the disk meanwhile.

Elsewhere, such as on one that copies what is changed and is full, the system kills who stores.
"""
ALLOCATING_AT_ONCE: Final = frozenset({"nodelalloc", "data=journal", "dax", "dax=always"})
"""With these options it does so on ext4, too: where the file system went read-only after an error."""


class Door:
    """The system calls that the engine makes. All paths are absolute or relative to the working directory."""

    is_sealing = False
    """Whether what goes through is encrypted on the disk (`sealed_door`)."""
    keys: DataKeys | None = None
    """The data keys with which it is."""
    secret = b""
    """What a process that helps needs to know to open the same files: see `helper_door`."""
    sealing_bytes = 0
    """How many bytes more were written than files hold."""

    commits_before_windows = 64
    """So many commits a log takes since it was opened before it is worth a window."""

    write = staticmethod(os.write)
    force = staticmethod(getattr(os, "fdatasync", os.fsync))
    truncate = staticmethod(os.ftruncate)
    close = staticmethod(os.close)

    def open_append(self, path: Path) -> int:
        """Open a file for appending, creating it if need be. Returns the descriptor."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def open_at(self, path: Path, size: int) -> int:
        """Open a file that is written to from the byte `size` on, wherever it ends. Returns the descriptor."""
        descriptor = self.open_append(path)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~os.O_APPEND)
        os.lseek(descriptor, size, os.SEEK_SET)
        return descriptor

    def cut(self, descriptor: int, size: int) -> None:
        """Cut a file off after `size` bytes, and go on writing there."""
        self.truncate(descriptor, size)
        self.seek(descriptor, size)

    def reserve(self, descriptor: int, offset: int, size: int) -> None:
        """Have a file reach to `size` bytes behind `offset`, with zeros behind what it holds, on blocks of its own.

        Nobody must write to it meanwhile. Raises OSError where the system cannot do that, or has no room.
        """
        if not hasattr(os, "posix_fallocate"):
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        os.posix_fallocate(descriptor, offset, size)

    def can_map_ahead(self, descriptor: int) -> bool:
        """Whether what is reserved of a file may be stored into through a mapping, beside others who read it.

        They must see the stores in the order of the program, which not every processor promises.
        """
        mounted = machine.file_system(os.fstat(descriptor).st_dev) if machine.STORES_IN_ORDER else None
        if mounted is None or mounted.kind not in KEEPING_RESERVES:
            return False
        return mounted.options.isdisjoint(ALLOCATING_AT_ONCE)

    def map_part(self, descriptor: int, offset: int, size: int) -> mmap:
        """A shared mapping of a part of a file, of whole pages but for the last: see `map_write`."""
        return mmap(descriptor, size, access=ACCESS_WRITE, offset=offset)

    def filled(self, path: Path) -> int:
        """How many bytes a file has before the zeros at its end. O(zeros)."""
        with path.open("rb") as file:
            descriptor = file.fileno()  # no mapping: what is beyond the end of one that was cut off kills who reads it
            size = os.fstat(descriptor).st_size
            return filled_bytes(size, lambda start, stop: os.pread(descriptor, stop - start, start))

    def read(self, path: Path) -> bytes:
        """All bytes of a file."""
        with path.open("rb") as file:
            return file.read()

    def size(self, path: Path) -> int:
        """The size of a file in bytes."""
        return path.stat().st_size

    def disk_size(self, path: Path) -> int:
        """How many bytes a file takes on the disk: its size, unless it is encrypted."""
        return self.size(path)

    def disk_bytes(self, size: int) -> int:
        """How many bytes a file that is written once takes there if it holds `size`."""
        return size

    def identity(self, path: Path) -> tuple[int, int] | None:
        """What changes when a file is replaced: its inode and time of birth; None where it is not there."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns

    def inode(self, path: Path) -> int | None:
        """What tells a file from one that took its place while it is open or mapped; None where there is none."""
        try:
            return path.stat().st_ino
        except FileNotFoundError:
            return None

    def names(self, directory: Path) -> list[str]:
        """The names in a directory, sorted."""
        return sorted(os.listdir(directory))

    def map_read(self, path: Path) -> mmap:
        """A read-only mapping of a file that is not empty, as large as the file is now."""
        with path.open("rb") as file:
            return mmap(file.fileno(), 0, access=ACCESS_READ)

    def slices(self, path: Path) -> Slices:
        """The same where slices are all that is wanted: so it need not be in memory as a whole."""
        return self.map_read(path)

    def damage(self, path: Path, offset: int) -> str | None:
        """What is known to be wrong with the bytes at a place of a file; None where nothing is."""
        return None

    def forget(self, path: Path) -> None:
        """Let go of what is kept of a file: nobody reads it any more."""

    def unload(self, buffer: Buffer) -> None:
        """Give back the memory that a mapped file takes. The system's cache keeps it: reading on costs page faults."""
        if isinstance(buffer, mmap):
            buffer.madvise(MADV_DONTNEED)

    def map_write(self, path: Path) -> mmap:
        """A shared mapping of a file that is not empty: what is stored there survives a killed process."""
        with path.open("r+b") as file:
            return mmap(file.fileno(), 0, access=ACCESS_WRITE)

    def make_directory(self, path: Path) -> None:
        """Make a directory (owner only) whose entry in its parent is on the disk afterwards."""
        path.mkdir(mode=0o700, exist_ok=True)
        self.force_directory(path.parent)

    def replace(self, path: Path, data: bytes) -> None:
        """Put `data` in the place of a file at once: afterwards, and after a power cut, it is the old or the new."""
        temporary = path.with_name(path.name + ".tmp")
        self.create(temporary, data)
        self.rename(temporary, path)

    def create(self, path: Path, data: bytes) -> None:
        """Write a whole file and force it to disk; its directory entry is not forced yet."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            self.write_all(descriptor, data)
            self.force(descriptor)
        finally:
            self.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file in its directory, and force the directory."""
        os.replace(old, new)
        self.force_directory(new.parent)

    def link(self, old: Path, new: Path) -> None:
        """Give a file one more name, in the same directory, which is forced."""
        os.link(old, new)
        self.force_directory(new.parent)

    def overwrite(self, path: Path, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Change bytes of a file where they stand on the disk, each piece at its offset, and force that."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for offset, data in pieces:
                os.lseek(descriptor, offset, os.SEEK_SET)
                self.write_all(descriptor, data)
            self.force(descriptor)
        finally:
            self.close(descriptor)

    def write_all(self, descriptor: int, data: bytes) -> None:
        """Write every byte, going on after a short write."""
        view = memoryview(data)
        while view:
            view = view[self.write(descriptor, view) :]

    def seek(self, descriptor: int, offset: int) -> None:
        """Go on writing at an offset of a file."""
        os.lseek(descriptor, offset, os.SEEK_SET)

    def force_file(self, path: Path) -> None:
        """Force to disk what others wrote to a file."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.force(descriptor)
        finally:
            self.close(descriptor)

    def force_directory(self, path: Path) -> None:
        """Force the entries of a directory to disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        """Remove a file; one that is not there is no error."""
        with suppress(FileNotFoundError):
            path.unlink()

    def remove_tree(self, path: Path) -> None:
        """Remove a directory with everything in it; one that is not there is no error."""
        with suppress(FileNotFoundError):
            for entry in sorted(path.iterdir()):
                if entry.is_dir():
                    self.remove_tree(entry)
                else:
                    self.remove(entry)
            self.remove_directory(path)

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        path.rmdir()

    def lock(self, path: Path) -> int:
        """Take the kernel's exclusive lock on a file or directory; it goes with the process. Returns a descriptor.

        Raises DatabaseLocked, naming the holder where the system tells.
        """
        flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise DatabaseLocked(
                f"{path} is held by {_holder(path)}, which writes the database. "
                "Close it there first, or open it with read_only=True."
            ) from None
        return descriptor

    def unlock(self, descriptor: int) -> None:
        """Give the lock back, also on behalf of a forked child that may still have the descriptor."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

    def boot_id(self) -> bytes:
        """16 bytes that differ from one start of the machine to the next; zeros where the system does not tell."""
        return machine.boot_id()


def _holder(path: Path) -> str:
    try:
        inode = str(path.stat().st_ino)
        for line in KERNEL_LOCKS.read_text().splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
                return "this process" if int(fields[4]) == os.getpid() else f"process {fields[4]}"
    except (OSError, IndexError, ValueError):
        pass
    return "another process"


class _Guard:
    """No generator: since Python 3.12 `contextmanager` leaves a cycle behind in which an error leads back to itself.

    So what failed would keep its files, until garbage is looked for.
    """

    __slots__ = ("_doing",)

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise storage_error(self._doing, error) from error


def guarded(doing: str) -> _Guard:
    """Turn the system's errors into StorageError: what was being done, what the system said, what to do."""
    return _Guard(doing)


_ADVICE = {
    errno.ENOSPC: "free some space on the disk, then try again",
    errno.EDQUOT: "free some space within the quota, then try again",
    errno.EACCES: "check the permissions of the directory",
    errno.EPERM: "check the permissions of the directory",
    errno.EROFS: "the disk is mounted read-only: open the database with read_only=True",
    errno.EMFILE: "raise the limit of open files",
    errno.ENFILE: "raise the limit of open files",
    errno.EIO: "check the disk",
}


def storage_error(doing: str, error: OSError) -> StorageError:
    """The StorageError for a system error that came up while `doing` something."""
    advice = _ADVICE.get(error.errno or 0, "see what the system says")
    where = f" ({error.filename})" if error.filename else ""
    return StorageError(f"{doing} failed: {error.strerror or error}{where}; {advice}.")
