"""A change that gateways must know: published here, told to other machines, and waited for.

The machine's own workers find the snapshot in its file. Those of others are told at once what takes
service away, through the shared store where there is one; the rest comes with what their clerks
publish.
"""

from functools import partial
from typing import Final

import msgspec

from quartermaster.app.first_start import pepper_path, snapshot_path
from quartermaster.app.rooms import Rooms
from quartermaster.app.standing_store import StandingStore, open_standings
from quartermaster.commands.publish import Acknowledgement, acknowledged, publish, published
from quartermaster.gateway.process import read_pepper
from quartermaster.gateway.status import read_status
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import IntegrityError, UnavailableError
from quartermaster.kernel.notice import held_to, notice_of
from quartermaster.kernel.snapshot import Snapshot

ACKNOWLEDGE_TIMEOUT_S: Final = 2.0
"""Workers look five times a second; two seconds is ten looks."""


class Gateways:
    """The gateway workers of this machine, and of those that share a store with it.

    Args:
        rooms: the book and the settings.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._status = rooms.var / "status"
        self._store: StandingStore | None = None
        self._opened = False

    def hand_over(self, now: Instant) -> tuple[int, Acknowledgement]:
        """Publish, and wait shortly for all who should serve it; its version, and who does."""
        rooms = self._rooms
        above, unreached, path = 0, "", snapshot_path(rooms.var)
        before = published(path)
        try:
            store = self._open()
            above = store.highest() if store else 0
        except UnavailableError as error:
            unreached = str(error)
        snapshot = publish(rooms.book, path, now, above)
        unreached = unreached or self._tell(snapshot)
        says = before is not None and _says_all(before, snapshot)
        look = None if unreached else partial(self._elsewhere, all_said=says)
        seen = acknowledged(self._status, snapshot.version, ACKNOWLEDGE_TIMEOUT_S, elsewhere=look)
        return snapshot.version, _unreached(seen, unreached)

    def serving(self, version: int) -> Acknowledgement:
        """Which workers serve a snapshot, or a later one, at this moment."""
        return acknowledged(self._status, version, 0, elsewhere=self._elsewhere)

    def _open(self) -> StandingStore | None:
        if not self._opened:
            rooms = self._rooms
            settings = rooms.settings.gateway
            if settings.shared_limits_url:
                pepper = read_pepper(pepper_path(rooms.var))
                self._store = open_standings(settings, rooms.var, pepper)
            self._opened = True
        return self._store

    def _tell(self, snapshot: Snapshot) -> str:
        """Tell the others; why they could not be told, or nothing."""
        try:
            store = self._open()
            if store is not None:
                store.tell(snapshot)
        except UnavailableError as error:
            return str(error)
        return ""

    def _elsewhere(self, version: int, *, all_said: bool = False) -> Acknowledgement:
        """Who of other machines' workers serves a version, as far as they can be asked."""
        try:
            store = self._open()
            if store is None:
                return Acknowledgement((), (), ())
            return store.serving(version, self._here(), all_said=all_said)
        except UnavailableError as error:
            return Acknowledgement((), (), (), str(error))

    def _here(self) -> frozenset[str]:
        """What this machine's workers are called among all machines' workers."""
        names = set()
        for path in self._status.glob("*.json"):
            try:
                shared = read_status(path).shared
            except (FileNotFoundError, IntegrityError):
                continue  # it has ended, or `acknowledged` says what is wrong with it
            if shared is not None:
                names.add(shared.name)
        return frozenset(names)


def _says_all(before: Snapshot, after: Snapshot) -> bool:
    """Whether what takes service away is all that is new."""
    told = held_to(before, notice_of(after))
    return msgspec.structs.replace(told, published_at=after.published_at) == after


def _unreached(seen: Acknowledgement, why: str) -> Acknowledgement:
    return msgspec.structs.replace(seen, unreached=seen.unreached or why)
