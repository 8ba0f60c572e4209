"""The few file operations that metering needs, behind one protocol.

Everything durable goes through a `FileLayer`, so that tests can put a model of the page cache in
its place: `kill -9` does not lose the page cache, therefore only an injected layer can show what a
power loss does.
"""

import fcntl
import os
from pathlib import Path
from typing import Protocol

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


class FileLayer(Protocol):
    """File operations; every method may raise `OSError`."""

    def make_directory(self, path: Path) -> None:
        """Create the directory and its parents where they are missing, durably."""

    def lock(self, path: Path) -> int:
        """Take an exclusive lock on a file, created if missing; `BlockingIOError` if it is held."""

    def create(self, path: Path) -> int:
        """Create a file that must not exist, for writing from its start on."""

    def write(self, descriptor: int, data: bytes) -> int:
        """Go on writing; may take fewer bytes than given, returns how many."""

    def fill(self, descriptor: int, start: int, length: int) -> None:
        """Put zeros there, beyond where writing goes on; where that is does not change."""

    def cut(self, descriptor: int, length: int) -> None:
        """End the file at this length."""

    def fdatasync(self, descriptor: int) -> None:
        """Make what was written so far survive a power loss."""

    def close(self, descriptor: int) -> None:
        """Close a file or give up a lock."""

    def rename(self, source: Path, target: Path) -> None:
        """Rename within a directory, replacing the target."""

    def sync_directory(self, path: Path) -> None:
        """Make created, renamed and removed names survive a power loss."""

    def sync_file(self, path: Path) -> None:
        """Make a file that others wrote survive a power loss."""

    def unlink(self, path: Path) -> None:
        """Remove a name."""

    def names(self, path: Path) -> list[str]:
        """Names in a directory, sorted."""

    def read(self, path: Path) -> bytes:
        """The whole file."""


class OsFiles:
    """The operating system's files."""

    def make_directory(self, path: Path) -> None:
        """Create the directory and its parents where they are missing, durably."""
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        for folder in missing:
            self.sync_directory(folder.parent)

    def lock(self, path: Path) -> int:
        """Take an exclusive `flock`; the kernel drops it when the process dies."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def create(self, path: Path) -> int:
        """Create a file that must not exist, for writing from its start on."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return os.open(path, flags, FILE_MODE)

    def write(self, descriptor: int, data: bytes) -> int:
        """One `write` call."""
        return os.write(descriptor, data)

    def fill(self, descriptor: int, start: int, length: int) -> None:
        """As many `pwrite` calls as it takes."""
        while length > 0:
            written = os.pwrite(descriptor, bytes(length), start)
            start += written
            length -= written

    def cut(self, descriptor: int, length: int) -> None:
        """One `ftruncate` call."""
        os.ftruncate(descriptor, length)

    def fdatasync(self, descriptor: int) -> None:
        """One `fdatasync` call."""
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a file or give up a lock."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """One `rename` call."""
        source.replace(target)

    def sync_directory(self, path: Path) -> None:
        """`fsync` of the directory itself."""
        _fsync(path, os.O_DIRECTORY)

    def sync_file(self, path: Path) -> None:
        """`fsync` of a file by its name."""
        _fsync(path, 0)

    def unlink(self, path: Path) -> None:
        """Remove a name; a name that is already gone is not an error."""
        path.unlink(missing_ok=True)

    def names(self, path: Path) -> list[str]:
        """Names in a directory, sorted."""
        return sorted(entry.name for entry in path.iterdir())

    def read(self, path: Path) -> bytes:
        """The whole file."""
        return path.read_bytes()


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


OS_FILES: FileLayer = OsFiles()


def write_all(files: FileLayer, descriptor: int, data: bytes) -> None:
    """Append all of it, whatever the size of each single write."""
    written = files.write(descriptor, data)
    while written < len(data):
        written += files.write(descriptor, data[written:])
