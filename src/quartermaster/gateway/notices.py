"""What other machines changed of standings, as this one heard it through the shared store.

Each worker keeps what it took in a file of its own: after a restart, with the store gone and no
clerk, nobody is served again who was suspended, and nothing older is taken.
"""

import os
from pathlib import Path
from typing import Final

from quartermaster.kernel.errors import UnavailableError
from quartermaster.kernel.notice import (
    MAC_CHARS,
    NOTICE_CHARS_MAX,
    Notice,
    Obeyed,
    read,
    sign_obeyed,
)

FOLDER: Final = "shared/notices"
"""In the data folder, one file a worker."""

FILES_MAX: Final = 1_024
"""Workers that ever ran on one machine under different names; more files are somebody else's."""


class Notices:
    """The newest notice that this machine knows.

    Args:
        var: root of the data folder.
        app_id: of the worker.
        pepper: of the installation, under which notices are signed.
    """

    def __init__(self, var: Path, app_id: str, pepper: bytes) -> None:
        self._path = var / FOLDER / app_id
        self._pepper = pepper
        self.newest: Notice | None = None
        self.known = ""
        """Names the text that was taken last; the store says it only where it has another."""
        self.refused = 0
        """Texts that nobody of this installation can have written."""
        self._unsaved = ""
        files = sorted(self._path.parent.glob("*")) if self._path.parent.is_dir() else []
        for path in files[:FILES_MAX]:
            self._take(_text(path))

    def told(self, text: str) -> bool:
        """The store has a text; whether it is news.

        An older one is no news, but not asked for again either.
        """
        newest = self.newest
        if not self._take(text):
            self.refused += 1
            return False
        self.known = text[:MAC_CHARS]
        if self.newest is newest:
            return False
        self._unsaved = text
        return True

    def _take(self, text: str) -> bool:
        """Whether a text is ours; the newest one is kept."""
        notice = read(text, self._pepper)
        if notice is None:
            return False
        if self.newest is None or notice.version > self.newest.version:
            self.newest = notice
        return True

    def save(self) -> None:
        """Keep the newest for whoever starts later; blocks for a sync of the disk.

        Raises:
            UnavailableError: the disk does not take it.
        """
        text, self._unsaved = self._unsaved, ""
        if not text:
            return
        beside = self._path.with_name(f".{self._path.name}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with beside.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            raise UnavailableError(
                f"{self._path} cannot be written: {error.strerror}",
                hint="free space; until then a restart forgets the newest standings of others",
            ) from error

    def obeyed(self, worker: str, obeyed: Obeyed) -> str:
        """What a worker says once it obeys something."""
        return sign_obeyed(worker, obeyed, self._pepper)


def _text(path: Path) -> str:
    """What is in a file; nothing where it cannot be read, as when it is not signed."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(NOTICE_CHARS_MAX + 1)
    except (OSError, UnicodeDecodeError):
        return ""
