"""Work that may block, away from the event loop: one thread, in order."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

Job = Callable[[], None]


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
