"""Request ids at the rate of the hot path: the kernel's ULIDs, five times cheaper.

Every id has 80 fresh bits from the operating system's generator, as `kernel.ids.new_id` gives;
only the system calls are shared (one for 256 ids) and the time is encoded once a millisecond. No
counter: two workers, or one worker before and after a restart, cannot meet.
"""

import os
from typing import Final

from quartermaster.kernel.ids import CROCKFORD, ulid

# 16 characters of 5 bits are the 80 random bits of a ULID.
_RANDOM_CHARACTERS: Final = 16
_TIME_CHARACTERS: Final = 10
# One system call for 256 ids: 4 KiB, a page.
_BATCH: Final = 256
# 256 is eight times 32, so folding a random byte onto the alphabet keeps it uniform.
_FOLD: Final = (CROCKFORD * 8).encode()


class RequestIds:
    """Makes the ids of one process; not to be shared across a fork."""

    __slots__ = ("_prefix", "_random", "_unix_ms")

    def __init__(self) -> None:
        self._unix_ms = -1
        self._prefix = ""
        self._random: list[str] = []

    def new(self, now: int) -> str:
        """A fresh id such as `req_01J…`.

        Args:
            now: microseconds UTC.
        """
        unix_ms = now // 1_000
        if unix_ms != self._unix_ms:
            self._unix_ms = unix_ms
            self._prefix = "req_" + ulid(unix_ms, bytes(10))[:_TIME_CHARACTERS]
        if not self._random:
            batch = os.urandom(_BATCH * _RANDOM_CHARACTERS).translate(_FOLD).decode("ascii")
            starts = range(0, len(batch), _RANDOM_CHARACTERS)
            self._random = [batch[at : at + _RANDOM_CHARACTERS] for at in starts]
        return self._prefix + self._random.pop()
