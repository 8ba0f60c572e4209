"""The event loop as the log uses it, and the threads that take blocking work away from it."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol

Job = Callable[[], None]


class Cancellable(Protocol):
    """A callback that is due."""

    def cancel(self) -> object:
        """Do not call back; nothing happens where it was called already."""


class Loop(Protocol):
    """The part of `asyncio.AbstractEventLoop` that the log uses; tests step through their own."""

    def time(self) -> float:
        """Seconds of a clock that never goes back."""

    def call_soon(self, callback: Callable[..., object], *args: Any) -> object:  # noqa: ANN401
        """Run the callback in the next turn."""

    def call_soon_threadsafe(
        self,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401
    ) -> object:
        """The same, from another thread."""

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401
    ) -> Cancellable:
        """Run the callback when so many seconds have passed."""

    def create_future(self) -> "asyncio.Future[Any]":
        """A future of this loop."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report a failure that nobody waits for."""


class Offload(Protocol):
    """Runs jobs one after the other, somewhere else."""

    def submit(self, job: Job) -> None:
        """Run the job after those submitted before it."""

    def stop(self) -> None:
        """Return when every submitted job has run."""


class ThreadOffload:
    """A daemon thread; a job must not raise."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Run the job after those submitted before it."""
        self._jobs.put(job)

    def stop(self) -> None:
        """Return when every submitted job has run."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
