"""The clerk's steps: one that the disk or the book refuses is said, and tried again."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from deltalake.exceptions import DeltaError

from quartermaster.app.clerk_health import ClerkHealth, Trouble, health_path
from quartermaster.kernel.clock import Clock
from quartermaster.kernel.errors import QuartermasterError

log = logging.getLogger(__name__)

FILE_BYTES: Final = 4_096
"""One block of most file systems, taken once."""
REASON_BYTES_MAX: Final = 300
"""The rest is in the log; all steps together fit the block."""
REFUSALS: Final = (OSError, QuartermasterError, DeltaError)
"""What another try may mend without a person who mends the program."""
RETRY_S = 2.0
"""A full disk is not mended in milliseconds, and a revocation must not wait for a minute."""


class Steps:
    """The steps of one clerk.

    Args:
        var: root of the data folder.
        now: the wall clock.
    """

    def __init__(self, var: Path, now: Clock) -> None:
        self._path, self._now = health_path(var), now
        self._troubles: dict[str, Trouble] = {}
        self._unsaid = False
        """Whether the file cannot be written, and that was logged."""

    @property
    def troubled(self) -> bool:
        """Whether something has to be tried again."""
        return bool(self._troubles)

    def attempt(self, step: str, do: Callable[[], object]) -> bool:
        """Take a step; False where it was refused: it is to be tried again."""
        try:
            do()
        except REFUSALS as error:
            self.state(step, _words(error))
            return False
        self.state(step, "")
        return True

    def state(self, step: str, reason: str) -> None:
        """Note how a step is: why it is refused, or nothing."""
        known = self._troubles.get(step)
        reason = reason.encode(errors="replace")[:REASON_BYTES_MAX].decode(errors="ignore")
        if not reason:
            if known is not None:
                log.info("%s: succeeds again", step)
                del self._troubles[step]
        elif known is None or known.reason != reason:
            log.warning("%s: refused, and tried again: %s", step, reason)
            since = self._now() if known is None else known.since
            self._troubles[step] = Trouble(step, since, reason)

    def tell(self) -> None:
        """Write how the clerk is."""
        troubles = tuple(self._troubles[step] for step in sorted(self._troubles))
        health = ClerkHealth(self._now(), os.getpid(), troubles)
        data = msgspec.json.encode(health).ljust(FILE_BYTES)
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                # What needs more than the block, for all its quotes, leaves nothing behind it.
                os.ftruncate(file, os.pwrite(file, data, 0))
            finally:
                os.close(file)
        except OSError as error:
            if not self._unsaid:
                log.warning("%s cannot be written: %s", self._path, error)
            self._unsaid = True
        else:
            self._unsaid = False


class Timed:
    """A step that is due from time to time, and sooner again where it was refused.

    Args:
        steps: of the clerk.
        step: its name.
        do: the step.
        every_s: how often.
        first_s: after which it is due for the first time.
    """

    def __init__(
        self,
        steps: Steps,
        step: str,
        do: Callable[[], object],
        every_s: float,
        *,
        first_s: float = 0.0,
    ) -> None:
        self._steps, self._step, self._do, self._every_s = steps, step, do, every_s
        self._due = time.monotonic() + first_s

    def take(self) -> None:
        """Take it where it is due."""
        if time.monotonic() >= self._due:
            done = self._steps.attempt(self._step, self._do)
            self._due = time.monotonic() + (self._every_s if done else min(self._every_s, RETRY_S))


def _words(error: Exception) -> str:
    if isinstance(error, QuartermasterError) and error.hint:
        return f"{error.message} ({error.hint})"
    return str(error) or type(error).__name__
