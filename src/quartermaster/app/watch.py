"""The watch role: reads the content rings of this machine's gateway workers, keeps facts, no text.

Text lives in the rings, in this process while one request is read, and nowhere else. What is kept
of an account-day is stored every few seconds, so that a watcher that dies loses those, and another
one goes on.
"""

import logging
import os
import signal
import threading
import time
from pathlib import Path

import msgspec

from quartermaster.app.rooms import Rooms
from quartermaster.book.pepper import load_pepper
from quartermaster.conduct.content import answer_of, request_of
from quartermaster.conduct.facts import WatchedDay, load, path_of, save
from quartermaster.conduct.observe import Observer
from quartermaster.conduct.registry import load as load_registry
from quartermaster.kernel import ring
from quartermaster.kernel.clock import Instant
from quartermaster.kernel.errors import IntegrityError
from quartermaster.kernel.tapped import Content, Tally, day_of, decode, named_day

log = logging.getLogger(__name__)

LOOK_S = 0.2
"""Pause between two looks at the rings: text is there for as long; a look costs microseconds."""
SAVE_S = 10.0
"""What a watcher that is killed loses at most; a day's file has some 70 KB."""
REGISTRY = "registry"
"""Public corpora, of `quartermaster conduct registry build`, where the operator has put them."""


class WatchStatus(msgspec.Struct, frozen=True):
    """What the watcher says of itself."""

    at: int
    pid: int
    rings: tuple[str, ...]
    read: int
    """Requests since its start."""
    missed: int
    """Frames that were gone before it came to them."""
    damaged: int


def key_path(var: Path) -> Path:
    """The key of everything that conduct keeps; without it, facts of earlier days say nothing."""
    return var / "secrets" / "conduct_key"


def conduct_key(var: Path) -> bytes:
    """The key, made on first use."""
    return load_pepper(key_path(var), lost="what was kept of earlier days says nothing")


def days_folder(var: Path) -> Path:
    """Where feature facts are kept, a folder a day."""
    return var / "conduct" / "days"


def status_path(var: Path, name: str) -> Path:
    """Where a watcher says how it is."""
    return var / "conduct" / f"watch-{name}.json"


def statuses(var: Path) -> dict[str, WatchStatus]:
    """What watchers last said, by name.

    Raises:
        IntegrityError: a file is not what a watcher writes.
    """
    found = {}
    for path in sorted((var / "conduct").glob("watch-*.json")):
        try:
            status = msgspec.json.decode(path.read_bytes(), type=WatchStatus)
        except msgspec.DecodeError as error:
            raise IntegrityError(f"{path} is not a watcher's status: {error}") from error
        found[path.stem.removeprefix("watch-")] = status
    return found


class Watcher:
    """Reads rings and keeps days.

    Args:
        rings: the folder of the rings.
        days: the folder of the facts.
        name: of this watcher among those that share the facts.
        key: the deployment's conduct key.
        observer: reads requests under that key.
    """

    def __init__(self, rings: Path, days: Path, name: str, key: bytes, observer: Observer) -> None:
        self._rings, self._days, self._name = rings, days, name
        self._key, self._observer = key, observer
        self._readers: dict[Path, tuple[int, ring.RingReader]] = {}
        self._held: dict[tuple[str, str], WatchedDay] = {}
        self.read = self._missed = self._damaged = 0

    @property
    def missed(self) -> int:
        """Frames that were gone before it came to them."""
        return self._missed + sum(reader.missed for _, reader in self._readers.values())

    @property
    def damaged(self) -> int:
        """How often frames did not check."""
        return self._damaged + sum(reader.damaged for _, reader in self._readers.values())

    @property
    def attached(self) -> tuple[str, ...]:
        """Names of the workers whose rings are read."""
        return tuple(sorted(path.stem for path in self._readers))

    def look(self) -> int:
        """Read what has come; returns how many requests."""
        before = self.read
        self._attach()
        for path, (_, reader) in self._readers.items():
            self._take(path.stem, reader)
        return self.read - before

    def save(self, now: Instant) -> None:
        """Store what has changed; days that are over for a day leave the memory."""
        yesterday = named_day(day_of(now) - 1)
        for at, held in list(self._held.items()):
            if held.changed:
                save(self._days, self._name, held)
            if held.day < yesterday:
                del self._held[at]

    def close(self) -> None:
        """Let go of the rings; what came since the last look is the next watcher's."""
        for path in list(self._readers):
            self._let_go(path)

    def _attach(self) -> None:
        for path in sorted(self._rings.glob(f"*{ring.SUFFIX}")):
            try:
                inode = path.stat().st_ino
            except FileNotFoundError:
                continue
            known = self._readers.get(path)
            if known is not None and known[0] == inode:
                continue
            if known is not None:
                self._take(path.stem, known[1])
                self._let_go(path)
            reader = ring.attach(path)
            if reader is not None:
                self._readers[path] = (inode, reader)
        for path in [one for one in self._readers if not one.exists()]:
            self._take(path.stem, self._readers[path][1])
            self._let_go(path)

    def _let_go(self, path: Path) -> None:
        _, reader = self._readers.pop(path)
        self._missed += reader.missed
        self._damaged += reader.damaged
        reader.close()

    def _take(self, worker: str, reader: ring.RingReader) -> None:
        for frame in reader.frames():
            try:
                message = decode(frame.payload)
            except msgspec.DecodeError as error:
                # A worker of another version, for as long as an update takes.
                log.warning("a frame of %s cannot be read: %s", worker, error)
                continue
            if isinstance(message, Tally):
                told = self._day(message.customer, message.day)
                told.tell(f"{worker}:{reader.epoch:x}", message)
            else:
                self._one(message)

    def _one(self, content: Content) -> None:
        self.read += 1
        day = self._day(content.customer, named_day(day_of(content.at)))
        asked, answered = request_of(content), answer_of(content)
        day.add(content.request_id, content.priority, asked, answered)

    def _day(self, account: str, day: str) -> WatchedDay:
        held = self._held.get((account, day))
        if held is None:
            held = WatchedDay(account, day, self._observer, self._key)
            stored = load(path_of(self._days, day, self._name, account))
            if stored is not None:
                held.resume(stored)
            # Not before: what could not be read must not be written over.
            self._held[account, day] = held
        return held


def watcher(var: Path, name: str) -> Watcher:
    """The watcher of a data folder."""
    key = conduct_key(var)
    registry = var / "conduct" / REGISTRY
    known = load_registry(registry, key) if registry.exists() else None
    return Watcher(ring.folder_of(var), days_folder(var), name, key, Observer(key, known))


def run(rooms: Rooms) -> int:
    """Watch until SIGTERM."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    name = rooms.settings.gateway.app_prefix
    watching = watcher(rooms.var, name)
    save_at = time.monotonic()
    try:
        while not stopping.wait(LOOK_S):
            watching.look()
            if time.monotonic() >= save_at:
                save_at = time.monotonic() + SAVE_S
                watching.save(rooms.now())
                say(rooms, watching)
    finally:
        watching.look()
        watching.save(rooms.now())
        say(rooms, watching)
        watching.close()
    return 0


def say(rooms: Rooms, watching: Watcher) -> None:
    """Write how it is; faces show it."""
    path = status_path(rooms.var, rooms.settings.gateway.app_prefix)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = WatchStatus(
        rooms.now(),
        os.getpid(),
        watching.attached,
        watching.read,
        watching.missed,
        watching.damaged,
    )
    beside = path.with_suffix(".new")
    beside.write_bytes(msgspec.json.encode(status))
    beside.replace(path)
