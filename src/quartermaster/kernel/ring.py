"""The content ring: how a gateway worker hands text to the watcher of its machine, and forgets it.

A fixed piece of shared memory, one writer and one reader, none of whom ever waits for the other.
Positions only grow; a byte's place is its position modulo the capacity. Frames are whole multiples
of `UNIT` bytes, never cross the end, and begin with their own position, a sequence number, length,
owner and a CRC-32 of all that, so that a reader tells a frame that was overwritten while it was
being copied from one that was not. The writer moves `tail` away from a frame before it touches its
bytes and moves `head` over a frame after its last byte, so what lies between them is whole even if
the writer is killed between any two instructions.

Text does not outlive its use: what the reader has passed, and what is older than it may be, is
overwritten with zeros, and all of it when the ring is opened and closed.
"""

import hashlib
import mmap
import os
import stat
import zlib
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from quartermaster.kernel.errors import ConfigError, UnavailableError, UsageError

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made inside it
"""Linux keeps files here in memory: text in a ring is on no disk (swap is the machine's matter)."""
SUFFIX: Final = ".ring"
UNIT: Final = 32
"""Frames are multiples of it: a frame's head always fits before the end."""
CONTROL_BYTES: Final = 4_096
"""One page in front of the frames: what both sides tell each other."""
CAPACITY_MIN: Final = 64 * 1024
"""Smaller rings hold no frame of a usual size."""
FRAME_SHARE: Final = 4
"""A frame takes at most a quarter: one request must not push out everybody else's."""
DAMAGED_LOOKS: Final = 3
"""A frame that does not check this often in a row will never; readers go on behind it."""

_MAGIC: Final = int.from_bytes(b"QMRING1\n", "little")
_MAGIC_AT, _CAPACITY_AT, _EPOCH_AT, _TAIL_AT, _HEAD_AT, _READ_AT, _SEEN_AT = range(7)
_PAD: Final = 0xFFFF_FFFF
_MASK: Final = 0xFFFF_FFFF
_CONTROL_WORDS: Final = CONTROL_BYTES // 8


class Frame(NamedTuple):
    """What was written at once."""

    sequence: int
    owner: int
    """A number that the writer gives to whom the frame is of."""
    payload: bytes


class _Ring:
    """The memory as both sides see it."""

    def __init__(self, memory: mmap.mmap, capacity: int) -> None:
        self._memory = memory
        self._bytes = memoryview(memory)
        # One aligned 64-bit store or load each: a counter is never seen half written.
        self._words = self._bytes.cast("Q")
        self.capacity = capacity

    def _head_words(self, position: int) -> tuple[int, int, int, int]:
        at = _CONTROL_WORDS + position % self.capacity // 8
        words = self._words
        return words[at], words[at + 1], words[at + 2], words[at + 3]

    def _release(self) -> None:
        self._words.release()
        self._bytes.release()
        self._memory.close()


class RingWriter(_Ring):
    """The gateway worker's side. Use `create`.

    Args:
        memory: control page and frames, all zeros.
        capacity: bytes of frames.
        path: the file to take away at the end.
    """

    def __init__(self, memory: mmap.mmap, capacity: int, path: Path) -> None:
        super().__init__(memory, capacity)
        self._path = path
        self._inode = path.stat().st_ino
        self._head = self._tail = self._wiped = 0
        self._sequence = 0
        self._ages: deque[tuple[float, int]] = deque()
        self.epoch = int.from_bytes(os.urandom(8), "little")
        self.frame_bytes_max = capacity // FRAME_SHARE - UNIT
        self.lost: Counter[int] = Counter()
        """Frames that were overwritten or grew too old before they were read, by owner."""
        words = self._words
        words[_CAPACITY_AT], words[_EPOCH_AT] = capacity, self.epoch
        words[_TAIL_AT] = words[_HEAD_AT] = words[_READ_AT] = words[_SEEN_AT] = 0
        words[_MAGIC_AT] = _MAGIC

    @property
    def unread(self) -> bool:
        """Whether the reader has not come to the end."""
        return int(self._words[_READ_AT]) < self._head

    @property
    def looks(self) -> int:
        """How often a reader has looked."""
        return int(self._words[_SEEN_AT])

    def write(self, owner: int, payload: bytes) -> None:
        """Write a frame over the oldest ones.

        Raises:
            UsageError: longer than `frame_bytes_max`.
        """
        if len(payload) > self.frame_bytes_max:
            raise UsageError(f"a frame of {len(payload)} bytes does not fit the content ring")
        size = _size(len(payload))
        to_end = self.capacity - self._head % self.capacity
        if to_end < size:
            self._make_room(to_end)
            self._put_head(_PAD, 0, b"")
            self._advance(to_end)
        self._make_room(size)
        at = CONTROL_BYTES + self._head % self.capacity
        self._bytes[at + UNIT : at + UNIT + len(payload)] = payload
        self._put_head(len(payload), owner, payload)
        self._sequence += 1
        self._advance(size)

    def wipe(self, now_s: float, keep_s: float) -> None:
        """Overwrite what was read, and what is older than it may be; call it regularly.

        Args:
            now_s: a monotonic clock.
            keep_s: how old unread text may be.
        """
        self._ages.append((now_s, self._head))
        upto = min(int(self._words[_READ_AT]), self._head)
        while self._ages and self._ages[0][0] <= now_s - keep_s:
            upto = max(upto, self._ages.popleft()[1])
        self._drop_until(upto)
        self._zero(self._tail)

    def close(self) -> None:
        """Wipe everything and take the ring away."""
        self._drop_until(self._head)
        self._memory[CONTROL_BYTES:] = bytes(self.capacity)
        # After a reload, the name may be the next worker's already.
        if self._path.exists() and self._path.stat().st_ino == self._inode:
            self._path.unlink(missing_ok=True)
        self._release()

    def _make_room(self, size: int) -> None:
        least = self._head + size - self.capacity
        if least > self._tail:
            self._drop_until(least)

    def _drop_until(self, least: int) -> None:
        """Give up whole frames until nothing before `least` is kept."""
        tail, read = self._tail, int(self._words[_READ_AT])
        while tail < least:
            _, _, packed, _ = self._head_words(tail)
            length = packed & _MASK
            if length == _PAD:
                tail += self.capacity - tail % self.capacity
                continue
            if tail >= read:
                self.lost[packed >> 32] += 1
            tail += _size(length)
        self._tail = tail
        self._words[_TAIL_AT] = tail

    def _zero(self, upto: int) -> None:
        # What lies further back than one round has been written over since.
        at = max(self._wiped, self._head - self.capacity)
        while at < upto:
            place = at % self.capacity
            count = min(upto - at, self.capacity - place)
            start = CONTROL_BYTES + place
            self._memory[start : start + count] = bytes(count)
            at += count
        self._wiped = max(self._wiped, upto)

    def _put_head(self, length: int, owner: int, payload: bytes) -> None:
        at = _CONTROL_WORDS + self._head % self.capacity // 8
        words, packed = self._words, length | owner << 32
        words[at], words[at + 1], words[at + 2] = self._head, self._sequence, packed
        words[at + 3] = _check(self._head, self._sequence, packed, payload)

    def _advance(self, size: int) -> None:
        self._head += size
        self._words[_HEAD_AT] = self._head


class RingReader(_Ring):
    """The watcher's side. Use `attach`; it begins where the last reader ended."""

    def __init__(self, memory: mmap.mmap, capacity: int) -> None:
        super().__init__(memory, capacity)
        self.epoch = int(self._words[_EPOCH_AT])
        self._cursor = int(self._words[_READ_AT])
        self._expected: int | None = None
        self._failed = 0
        self.missed = 0
        """Frames that were gone before they could be read; the writer knows whose they were."""
        self.damaged = 0
        """How often frames were left out because they did not check."""

    def frames(self) -> Iterator[Frame]:
        """Every whole frame written since the last look, oldest first."""
        self._words[_SEEN_AT] = (int(self._words[_SEEN_AT]) + 1) & 0x7FFF_FFFF
        while (frame := self._next()) is not None:
            yield frame

    def close(self) -> None:
        """Let go of the memory."""
        self._release()

    def _next(self) -> Frame | None:
        words = self._words
        while True:
            tail, head = int(words[_TAIL_AT]), int(words[_HEAD_AT])
            self._cursor = max(self._cursor, tail)
            if self._cursor >= head:
                self._pass(self._cursor)
                return None
            position, sequence, packed, check = self._head_words(self._cursor)
            length = packed & _MASK
            fits = length == _PAD or _size(length) <= head - self._cursor
            payload = self._copy(length) if fits and length != _PAD else b""
            if int(words[_TAIL_AT]) > self._cursor:
                continue  # it was given up while it was being copied
            whole = position == self._cursor and fits
            if not whole or check != _check(position, sequence, packed, payload):
                if self._give_up(head):
                    continue
                return None
            self._failed = 0
            if length == _PAD:
                self._cursor += self.capacity - self._cursor % self.capacity
                continue
            if self._expected is not None:
                self.missed += sequence - self._expected
            self._expected = sequence + 1
            self._pass(self._cursor + _size(length))
            return Frame(sequence, packed >> 32, payload)

    def _copy(self, length: int) -> bytes:
        at = CONTROL_BYTES + self._cursor % self.capacity + UNIT
        return bytes(self._bytes[at : at + length])

    def _give_up(self, head: int) -> bool:
        """Whether to go on behind what does not check, after looking at it more than once."""
        self._failed += 1
        if self._failed < DAMAGED_LOOKS:
            return False
        self.damaged += 1
        self._failed = 0
        self._cursor = head
        return True

    def _pass(self, position: int) -> None:
        self._cursor = position
        self._words[_READ_AT] = position


def folder_of(var: Path) -> Path:
    """Where the rings of a data folder are: in memory, under a name that only it has."""
    digest = hashlib.blake2b(os.fsencode(var), digest_size=8).hexdigest()
    return SHARED_MEMORY / f"quartermaster-{os.geteuid()}-{digest}"


def create(folder: Path, app_id: str, capacity: int) -> RingWriter:
    """Open a worker's ring; what an earlier worker of that name left is wiped first.

    Args:
        folder: of `folder_of`; made where it is missing, readable by nobody else.
        app_id: the worker's.
        capacity: bytes; a multiple of `UNIT`.

    Raises:
        UnavailableError: there is no shared memory here, or not enough of it.
        ConfigError: the folder belongs to somebody else, or the capacity cannot be used.
    """
    if capacity < CAPACITY_MIN or capacity % UNIT:
        raise ConfigError(
            f"a content ring of {capacity} bytes cannot be used",
            hint=f"use a multiple of {UNIT} of at least {CAPACITY_MIN}",
        )
    path = folder / f"{app_id}{SUFFIX}"
    try:
        _own_folder(folder)
        wipe_left(path)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(file, 0, CONTROL_BYTES + capacity)
            memory = mmap.mmap(file, CONTROL_BYTES + capacity)
        finally:
            os.close(file)
    except OSError as error:
        raise UnavailableError(
            f"the content ring {path} cannot be made: {error.strerror}",
            hint=f"give {SHARED_MEMORY} room for it, or make gateway.ring_bytes smaller",
        ) from error
    return RingWriter(memory, capacity, path)


def attach(path: Path) -> RingReader | None:
    """The reader of a ring, or None while it is not there or not finished.

    Raises:
        OSError: it cannot be opened.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        size = os.fstat(file).st_size
        if size < CONTROL_BYTES + CAPACITY_MIN:
            return None
        memory = mmap.mmap(file, size)
    finally:
        os.close(file)
    with memoryview(memory) as view, view.cast("Q") as words:
        ready = words[_MAGIC_AT] == _MAGIC and words[_CAPACITY_AT] == size - CONTROL_BYTES
    if not ready:
        memory.close()
        return None
    return RingReader(memory, size - CONTROL_BYTES)


def wipe_left(path: Path) -> None:
    """Overwrite and remove a ring that nobody writes any more."""
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        # Not cut short: a reader that still holds it would be killed for touching what is gone.
        left = os.fstat(file).st_size
        while left > 0:
            left -= os.write(file, bytes(min(left, 1 << 20)))
    finally:
        os.close(file)
    path.unlink(missing_ok=True)


def _own_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or stat.S_IMODE(found.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(
            f"{folder} is not a folder of this account alone",
            hint="somebody else made it: remove it, then start again",
        )


def _size(length: int) -> int:
    return UNIT + (length + UNIT - 1) // UNIT * UNIT


def _check(position: int, sequence: int, packed: int, payload: bytes) -> int:
    words = position.to_bytes(8, "little") + sequence.to_bytes(8, "little")
    return zlib.crc32(payload, zlib.crc32(words + packed.to_bytes(8, "little")))
