"""The clerk's look at the shared store: whether another machine changed what gateways must know.

In a thread of its own, because the store may be slow or gone and shipping must not wait for it.
Workers obey what the store says by themselves; the clerk sees to the rest. Where another machine
published something later, this one publishes too, so that new keys, limits and prices do not wait
for the next minute; and where the store says less than this machine's snapshot, because a command
could not reach it or because it was emptied, it is told.
"""

import threading
from pathlib import Path
from typing import Final

import msgspec

from quartermaster.app.first_start import pepper_path, snapshot_path
from quartermaster.app.standing_store import StandingStore, open_standings
from quartermaster.gateway.process import read_pepper
from quartermaster.gateway.settings import GatewaySettings
from quartermaster.kernel.errors import IntegrityError, UnavailableError
from quartermaster.kernel.notice import Notice, notice_of
from quartermaster.kernel.snapshot import Snapshot, decode

LOOK_EVERY_S: Final = 0.5
"""A customer who was given a key on another machine does not wait for it; a look takes less than a
millisecond."""


class StandingDesk:
    """Looks at the notice in the shared store.

    Args:
        store: where it is.
        path: of this machine's snapshot.
    """

    def __init__(self, store: StandingStore, path: Path) -> None:
        self._store = store
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._published: Snapshot | None = None
        self._followed = 0
        """The version of another machine for which this one has published."""
        self._news = threading.Event()
        self._stopping = threading.Event()
        self.trouble = ""
        """Why the store cannot be asked; empty where it can."""
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="standing-desk", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join()

    def news(self) -> bool:
        """Whether the clerk should publish now; asked once for each reason.

        Raises:
            BaseException: what ended the thread.
        """
        if self._failure is not None:
            raise self._failure
        found = self._news.is_set()
        self._news.clear()
        return found

    def look(self) -> None:
        """Look once.

        Raises:
            UnavailableError: the store cannot be reached.
        """
        said, mine = self._store.notice(), self._own()
        has = 0 if mine is None else mine.version
        if said is not None and said.version > has:
            if said.version > self._followed:
                self._followed = said.version
                self._news.set()
        elif mine is not None and not _same(said, notice_of(mine)):
            self._store.tell(mine)

    def _own(self) -> Snapshot | None:
        """This machine's snapshot; None where there is none that can be read."""
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino)
            if seen != self._seen:
                self._published, self._seen = decode(self._path.read_bytes()), seen
        except (FileNotFoundError, IntegrityError):
            return None
        return self._published

    def _run(self) -> None:
        try:
            while not self._stopping.wait(LOOK_EVERY_S):
                try:
                    self.look()
                except (OSError, UnavailableError) as error:
                    self.trouble = str(error)
                else:
                    self.trouble = ""
        except Exception as error:  # noqa: BLE001 - raised again by `news` in the clerk's loop
            self._failure = error


class NoDesk:
    """Nobody shares with this machine, or nobody can.

    Args:
        trouble: why nobody can.
    """

    def __init__(self, trouble: str = "") -> None:
        self.trouble = trouble

    def start(self) -> None:
        """Nothing to look at."""

    def stop(self) -> None:
        """Nothing to end."""

    def news(self) -> bool:
        """Never."""
        return False


def open_desk(settings: GatewaySettings, var: Path) -> StandingDesk | NoDesk:
    """The look at the store that the settings name.

    Raises:
        ConfigError: the server's password cannot be read, or the pepper is none.
    """
    if not settings.shared_limits_url:
        return NoDesk()
    try:
        store = open_standings(settings, var, read_pepper(pepper_path(var)))
    except UnavailableError as error:
        # A clerk without the pepper of the others bills all the same.
        return NoDesk(str(error))
    return NoDesk() if store is None else StandingDesk(store, snapshot_path(var))


def _same(said: Notice | None, mine: Notice) -> bool:
    return said is not None and msgspec.structs.replace(said, version=mine.version) == mine
