"""The two files through which a worker gets its leases; see `kernel.lease`.

Another grantor, such as a store that several machines share, needs another `LeasePort` only.
"""

from pathlib import Path
from typing import Protocol

from quartermaster.gateway.budget import Purses
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.lease import GRANT, Ask, read_grant, write_ask


class LeasePort(Protocol):
    """Where leases come from."""

    def look(self, purses: Purses) -> str:
        """Take what was granted and ask for what is missing; never waits.

        Returns:
            Empty, or why leases cannot be had.
        """


class LeaseFiles:
    """Leases from the clerk of this machine.

    Args:
        folder: where all workers' files are.
        app_id: of this worker.
    """

    def __init__(self, folder: Path, app_id: str) -> None:
        self._folder = folder
        self._app_id = app_id
        self._path = folder / f"{app_id}{GRANT}"
        self._seen: tuple[int, int, int] | None = None
        self._unwritten: Ask | None = None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def look(self, purses: Purses) -> str:
        """Take what was granted and ask for what is missing."""
        try:
            self._take(purses)
            # An ask that could not be written is not replaced: its number waits for an answer.
            ask = self._unwritten or purses.ask()
            if ask is not None:
                self._unwritten = ask
                write_ask(self._folder, self._app_id, ask)
                self._unwritten = None
        except IntegrityError as error:
            return error.message
        except OSError as error:
            return f"leases cannot be asked for: {error.strerror}"
        return ""

    def _take(self, purses: Purses) -> None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return
        seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        if seen != self._seen:
            purses.granted(read_grant(self._path).now)
            self._seen = seen
